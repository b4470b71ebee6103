// Signs and encodes what leaves for the hub (Standard Webhooks). Used by HitlDrain and HitlRule.
var HitlSigner = Class.create();
HitlSigner.prototype = {
    initialize: function () {},

    // 'v1,<base64> v1,<base64>' of the message with each secret (`whsec_<base64>`). generateMac takes its key and gives
    // its result in base64, as the standard does.
    sign: function (secrets, id, timestamp, body) {
        var message = id + '.' + timestamp + '.' + body;
        var mac = new CertificateEncryption();
        var values = [];
        for (var i = 0; i < secrets.length; i++)
            values.push('v1,' + mac.generateMac(secrets[i].substring(6), 'HmacSHA256', message));
        return values.join(' ');
    },

    // JSON of printable ASCII alone: what is signed and what goes over the wire cannot differ by charset.
    asciiJson: function (value) {
        return JSON.stringify(value).replace(/[\u007f-\uffff]/g, function (character) {
            return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
        });
    },

    // The usable secrets of the app's two properties, the new one first. A password2 property may come encrypted.
    secrets: function () {
        var names = ['x_hitl_hub.secret', 'x_hitl_hub.secret_old'];
        var found = [];
        for (var i = 0; i < names.length; i++) {
            var value = this._plain(String(gs.getProperty(names[i], '') || ''));
            if (/^whsec_[A-Za-z0-9+\/]+=*$/.test(value)) found.push(value);
        }
        return found;
    },

    _plain: function (value) {
        if (!value || value.indexOf('whsec_') === 0) return value;
        try {
            return String(new GlideEncrypter().decrypt(value) || '');
        } catch (error) {
            gs.error('HITL Hub: a secret cannot be decrypted: ' + error);
            return '';
        }
    },

    type: 'HitlSigner',
};
