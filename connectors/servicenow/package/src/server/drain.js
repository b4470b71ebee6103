// The scheduled job: sends what is due in the outbox, once a minute, for up to 24 hours per row.
var HitlDrain = Class.create();
HitlDrain.prototype = {
    DAY: 86400,
    ROWS: 50,

    initialize: function () {},

    run: function () {
        var url = String(gs.getProperty('x_hitl_hub.url', '') || '');
        var secrets = new HitlSigner().secrets();
        if (url.indexOf('https://') !== 0 || !secrets.length) {
            gs.error('HITL Hub: set the properties x_hitl_hub.url (https) and x_hitl_hub.secret (whsec_...)');
            return 0;
        }
        var row = new GlideRecord('x_hitl_hub_outbox');
        row.addQuery('state', 'new');
        row.addQuery('next_at', '<=', new GlideDateTime().getValue());
        row.orderBy('sys_created_on');
        row.setLimit(this.ROWS);
        row.query();
        var sent = 0;
        while (row.next()) {
            this._one(row, url, secrets);
            sent++;
        }
        this._purge();
        return sent;
    },

    // {state, wait}: what becomes of a row after an answer. `attempts` counts this one, `age` and `wait` are seconds.
    // 409 and 410 mean that the hub wants it no more. A 401 or 404 is a mistake that somebody mends within the day.
    decide: function (status, retryAfter, attempts, age) {
        if ((status >= 200 && status < 300) || status == 409 || status == 410) return { state: 'done', wait: 0 };
        var later = !status || status == 401 || status == 404 || status == 408 || status == 429 || status >= 500;
        if (!later) return { state: 'dead', wait: 0 };
        var wait = /^[0-9]{1,5}$/.test(String(retryAfter || '').trim()) ? Number(retryAfter) : 0;
        if (!wait) wait = Math.min(60 * Math.pow(2, attempts - 1), 3600);
        return age + wait > this.DAY ? { state: 'dead', wait: 0 } : { state: 'new', wait: wait };
    },

    _one: function (row, url, secrets) {
        var attempts = Number(row.getValue('attempts') || 0) + 1;
        // Claimed by its time: should a run overlap, or die here, nobody else takes the row for two minutes.
        row.setValue('attempts', attempts);
        row.setValue('next_at', this._in(120));
        row.update();
        var answer = this._post(url, secrets, String(row.getValue('event_id')), String(row.getValue('payload')));
        var age = this._now() - this._seconds(row.getValue('sys_created_on'));
        var verdict = this.decide(answer.status, answer.retryAfter, attempts, age);
        row.setValue('state', verdict.state);
        row.setValue('next_at', this._in(verdict.wait));
        row.setValue('answer', answer.status + ' ' + answer.said);
        row.update();
        if (verdict.state == 'dead')
            gs.error('HITL Hub: event ' + row.getValue('event_id') + ' was given up: ' + answer.status + ' ' + answer.said);
    },

    _post: function (url, secrets, id, body) {
        var timestamp = String(this._now());
        try {
            var request = new sn_ws.RESTMessageV2();
            request.setEndpoint(url);
            request.setHttpMethod('post');
            request.setHttpTimeout(10000);
            request.setRequestHeader('Content-Type', 'application/json');
            request.setRequestHeader('webhook-id', id);
            request.setRequestHeader('webhook-timestamp', timestamp);
            request.setRequestHeader('webhook-signature', new HitlSigner().sign(secrets, id, timestamp, body));
            request.setRequestBody(body);
            var response = request.execute();
            return {
                status: Number(response.getStatusCode()) || 0,
                retryAfter: response.getHeader('Retry-After'),
                said: String(response.getBody() || response.getErrorMessage() || '').substring(0, 900),
            };
        } catch (error) {
            return { status: 0, retryAfter: null, said: String(error).substring(0, 900) };
        }
    },

    // Done rows are kept for 30 days, as long as the hub knows their ids.
    _purge: function () {
        var old = new GlideRecord('x_hitl_hub_outbox');
        old.addQuery('state', 'done');
        old.addQuery('sys_updated_on', '<', gs.daysAgo(30));
        old.deleteMultiple();
    },

    _now: function () {
        return Math.floor(new GlideDateTime().getNumericValue() / 1000);
    },

    _seconds: function (value) {
        return Math.floor(new GlideDateTime(String(value)).getNumericValue() / 1000);
    },

    _in: function (seconds) {
        var at = new GlideDateTime();
        at.addSeconds(seconds);
        return at.getValue();
    },

    type: 'HitlDrain',
};
