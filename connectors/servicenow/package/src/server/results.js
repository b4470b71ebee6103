// PUT /api/x_hitl_hub/results/{key}: writes an answer into a record, once per key. Scripts here are no transaction, so the
// key is inserted first (unique index), then the record is written, then the outcome is kept; who finds a key that was
// left half-way looks for the marker in the journal.
var HitlResults = Class.create();
HitlResults.prototype = {
    PENDING: 90, // seconds that another call with the same key is believed to be at work
    VERSION: '1.0.0',

    initialize: function () {},

    // {status, result} or {status, message, detail}.
    put: function (key, body) {
        var wrong = this._wrong(key, body);
        if (wrong) return { status: 400, message: 'Bad request', detail: wrong };
        var record = new GlideRecordSecure(body.table); // the integration user's own rights, not the app's
        if (!record.get(body.incident))
            return {
                status: 404,
                message: 'No Record found',
                detail: "Record doesn't exist or ACL restricts the record retrieval",
            };
        var delivery = this._delivery(key);
        if (delivery && delivery.getValue('state') == 'done')
            return { status: 200, result: JSON.parse(delivery.getValue('outcome')) };
        if (delivery && delivery.getValue('state') == 'pending' && this._age(delivery) < this.PENDING) return this._pending();
        var again = !!delivery;
        delivery = again ? this._taken(delivery) : this._inserted(key, body);
        if (!delivery) return this._pending(); // somebody else inserted the same key a moment ago
        var noted = again && this._marked(record, body.marker);
        return this._write(record, body, delivery, noted);
    },

    check: function (table, fields) {
        var record = new GlideRecordSecure(table);
        record.setLimit(1);
        record.query();
        var found = record.next();
        var lacking = { read: [], write: [] };
        for (var i = 0; i < fields.length; i++) {
            var known = found && record.isValidField(fields[i]);
            if (!known || !record[fields[i]].canRead()) lacking.read.push(fields[i]);
            if (!known || !record[fields[i]].canWrite()) lacking.write.push(fields[i]);
        }
        return {
            version: this.VERSION,
            secret: new HitlSigner().secrets().length > 0,
            unreadable: lacking.read,
            unwritable: lacking.write,
        };
    },

    _write: function (record, body, delivery, noted) {
        var fields = body.fields || {};
        var skipped = [];
        if (this._closed(record, body) && body.on_conflict == 'comment_only') {
            skipped = Object.keys(fields).sort();
            fields = {};
        }
        var refused = [];
        var written = [];
        var texts = ['work_notes', 'comments'].filter(function (name) {
            return !!body[name];
        });
        for (var name in fields) {
            if (!record.isValidField(name) || !record[name].canWrite()) refused.push(name);
            else record.setValue(name, fields[name]);
        }
        for (var i = 0; i < texts.length; i++) {
            if (!record.isValidField(texts[i]) || !record[texts[i]].canWrite()) refused.push(texts[i]);
            else {
                if (!noted) record[texts[i]] = body[texts[i]];
                written.push(texts[i]);
            }
        }
        if ((written.length || Object.keys(fields).length > refused.length) && !record.update()) {
            delivery.deleteRecord();
            var why = String(record.getLastErrorMessage() || 'a business rule, data policy or ACL stopped the update');
            return { status: 403, message: 'Operation Failed', detail: why };
        }
        var after = new GlideRecordSecure(body.table);
        after.get(body.incident);
        for (var field in fields) {
            if (refused.indexOf(field) >= 0) continue;
            if (String(after.getValue(field) || '').trim() == String(fields[field]).trim()) written.push(field);
            else refused.push(field);
        }
        var lost = texts.some(function (text) {
            return refused.indexOf(text) >= 0;
        });
        var outcome = {
            // Where the text itself was refused the key is free again: somebody gives the right and delivers anew.
            state: lost || (refused.length && !written.length) ? 'refused' : 'done',
            incident: body.incident,
            written: written,
            refused: refused,
            skipped: skipped,
            revision: String(after.getValue('sys_mod_count') || ''),
        };
        delivery.setValue('state', outcome.state);
        delivery.setValue('outcome', JSON.stringify(outcome));
        delivery.update();
        return { status: 200, result: outcome };
    },

    _wrong: function (key, body) {
        if (!/^[A-Za-z0-9_-]{1,64}$/.test(String(key))) return 'the key';
        if (!body || typeof body !== 'object') return 'the body must be a JSON object';
        if (!/^[0-9a-f]{32}$/.test(String(body.incident))) return 'incident must be a sys_id';
        var tables = String(gs.getProperty('x_hitl_hub.tables', 'incident')).split(',');
        if (tables.indexOf(String(body.table)) < 0) return 'the table is not among the property x_hitl_hub.tables';
        if (!body.marker) return 'marker is missing';
        for (var name in body.fields || {}) if (!/^(?!sys_)[a-z][a-z0-9_]*$/.test(name)) return 'the field ' + name;
        return '';
    },

    _closed: function (record, body) {
        var states = body.closed_states || ['6', '7', '8'];
        return states.indexOf(String(record.getValue('state'))) >= 0 || String(record.getValue('active')) == '0';
    },

    _marked: function (record, marker) {
        return ['work_notes', 'comments'].some(function (name) {
            return record.isValidField(name) && String(record[name].getJournalEntry(-1) || '').indexOf(marker) >= 0;
        });
    },

    _delivery: function (key) {
        var row = new GlideRecord('x_hitl_hub_delivery');
        return row.get('delivery_key', key) ? row : null;
    },

    _inserted: function (key, body) {
        var row = new GlideRecord('x_hitl_hub_delivery');
        row.initialize();
        row.setValue('delivery_key', key);
        row.setValue('record', body.incident);
        row.setValue('state', 'pending');
        return row.insert() ? row : null;
    },

    _taken: function (row) {
        row.setValue('state', 'pending');
        row.setValue('attempts', Number(row.getValue('attempts') || 0) + 1);
        row.update();
        return row;
    },

    _age: function (row) {
        var now = new GlideDateTime().getNumericValue();
        return (now - new GlideDateTime(String(row.getValue('sys_updated_on'))).getNumericValue()) / 1000;
    },

    _pending: function () {
        return { status: 409, result: { state: 'pending' } };
    },

    type: 'HitlResults',
};
