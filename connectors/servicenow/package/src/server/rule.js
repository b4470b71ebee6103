// What the after business rule does: sees whether a change asks for a person, and puts an event of the contract
// hitl.escalation.v1 into the outbox, in the same transaction. No HTTP here: it would hold the user up.
var HitlRule = Class.create();
HitlRule.prototype = {
    initialize: function () {},

    afterChange: function (current, previous) {
        if (this._isOurs()) return '';
        var extra = gs.getProperty('x_hitl_hub.condition', '');
        if (extra && !GlideFilter.checkRecord(current, extra)) return '';
        var reason = this.reasonOf(current, previous);
        if (!reason) return '';
        var event = this.eventOf(current, reason, current.operation() == 'insert');
        var row = new GlideRecord('x_hitl_hub_outbox');
        row.initialize();
        row.setValue('event_id', event.event_id);
        row.setValue('record', event.source.id);
        row.setValue('payload', new HitlSigner().asciiJson(event));
        row.setValue('state', 'new');
        row.setValue('attempts', 0);
        row.setValue('next_at', new GlideDateTime().getValue());
        row.insert();
        return reason;
    },

    // The transition, not the state: any other update of the same record asks nothing.
    reasonOf: function (current, previous) {
        var closed = this._list('x_hitl_hub.closed_states', '6,7,8');
        if (this._is(closed, current.getValue('state')))
            return this._is(closed, this._before(previous, 'state')) ? '' : 'closed';
        var group = gs.getProperty('x_hitl_hub.group', '');
        if (group && current.getValue('assignment_group') == group) {
            if (this._before(previous, 'assignment_group') != group) return 'assigned_to_hitl';
            if (this._journal(current)) return 'commented';
        }
        var field = gs.getProperty('x_hitl_hub.request_field', '');
        if (field && current.isValidField(field) && this._true(current.getValue(field)))
            return this._true(this._before(previous, field)) ? '' : 'hitl_requested';
        return '';
    },

    eventOf: function (current, reason, created) {
        var fields = {};
        var names = this._list('x_hitl_hub.fields', '').concat(['state', 'assignment_group', 'sys_updated_by', 'sys_mod_count']);
        for (var i = 0; i < names.length; i++) {
            if (!current.isValidField(names[i])) continue;
            fields[names[i]] = {
                value: String(current.getValue(names[i]) || ''),
                display_value: String(current.getDisplayValue(names[i]) || ''),
            };
        }
        var said = this._journal(current);
        if (said) fields[said] = this._entry(current, said);
        var id = String(current.getUniqueValue());
        var table = String(current.getTableName());
        return {
            schema: 'hitl.escalation.v1',
            event_id: String(gs.generateGUID()),
            type: created ? 'record.created' : 'record.updated',
            sent_at: String(new GlideDateTime().getValue()).replace(' ', 'T') + 'Z',
            source: {
                system: 'servicenow',
                instance: String(gs.getProperty('instance_name', '')),
                table: table,
                id: id,
                number: String(current.getValue('number') || '') || null,
                revision: String(current.getValue('sys_mod_count') || '0'),
                url: String(gs.getProperty('glide.servlet.uri', '')) + 'nav_to.do?uri=' + table + '.do%3Fsys_id%3D' + id,
            },
            actor: { id: String(gs.getUserID()), name: String(gs.getUserName()) },
            reason: reason,
            fields: fields,
            attachments: [],
        };
    },

    _isOurs: function () {
        var own = gs.getProperty('x_hitl_hub.integration_user', '');
        return !!own && String(gs.getUserName()) == own;
    },

    // Which journal got an entry in this change; a journal that did not is left out, else an old note of ours would
    // travel with every later change.
    _journal: function (current) {
        var names = ['comments', 'work_notes'];
        for (var i = 0; i < names.length; i++)
            if (current.isValidField(names[i]) && current[names[i]].changes()) return names[i];
        return '';
    },

    // The newest entry without the heading that stands above it.
    _entry: function (current, name) {
        return String(current[name].getJournalEntry(1) || '').replace(/^[^\n]*\n/, '').trim();
    },

    _before: function (previous, name) {
        return previous && previous.isValidField(name) ? String(previous.getValue(name) || '') : '';
    },

    _list: function (property, standard) {
        return String(gs.getProperty(property, standard) || '')
            .split(',')
            .map(function (name) {
                return name.trim();
            })
            .filter(function (name) {
                return !!name;
            });
    },

    _is: function (list, value) {
        return list.indexOf(String(value)) >= 0;
    },

    _true: function (value) {
        return String(value) == '1' || String(value) == 'true';
    },

    type: 'HitlRule',
};
