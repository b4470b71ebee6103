// Small stand-ins for the parts of ServiceNow's server API that the app uses, and a way to run its scripts on them.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import vm from 'node:vm'

const folder = new URL('../src/server/', import.meta.url)
const stamp = (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')

// An instance: `tables` of rows by sys_id, `properties`, `user`, a clock in ms, what the hub answers, what was sent.
export function instance(changes = {}) {
    const world = {
        now: Date.UTC(2026, 10, 23, 10, 0, 0),
        user: 'fred.luddy',
        properties: {
            instance_name: 'acme',
            'glide.servlet.uri': 'https://acme.service-now.com/',
            'x_hitl_hub.url': 'https://hub.acme.example/hooks/in/acme-incidents',
            'x_hitl_hub.secret': 'whsec_' + Buffer.from('a secret of the tests').toString('base64'),
            'x_hitl_hub.integration_user': 'svc.hitl',
            'x_hitl_hub.group': '8a4dde73c6112278017a6a4baf547aa7',
            'x_hitl_hub.fields': 'number,short_description,priority',
        },
        tables: { incident: {}, x_hitl_hub_outbox: {}, x_hitl_hub_delivery: {} },
        unique: { x_hitl_hub_outbox: 'event_id', x_hitl_hub_delivery: 'delivery_key' },
        unwritable: [],
        refusesUpdate: '',
        answers: [],
        sent: [],
        errors: [],
        ids: 0,
        ...changes,
    }
    world.id = () => (++world.ids).toString(16).padStart(32, '0')
    const context = vm.createContext({ ...api(world), JSON, Math, Number, String, Object, RegExp })
    for (const name of ['signer', 'rule', 'drain', 'results'])
        vm.runInContext(readFileSync(new URL(`${name}.js`, folder), 'utf8'), context, { filename: `${name}.js` })
    world.run = (script) => vm.runInContext(script, context)
    world.context = context
    return world
}

function api(world) {
    class Field {
        constructor(record, name) {
            Object.assign(this, { record, name })
        }
        changes() {
            return this.record.changed.includes(this.name)
        }
        getJournalEntry(which) {
            const all = [...(this.record.row.journal?.[this.name] ?? [])].reverse()
            const shown = all.map((text) => `2026-11-23 10:00:00 - Somebody (Work notes)\n${text}\n\n`)
            return which === 1 ? (shown[0] ?? '') : shown.join('')
        }
        canRead() {
            return true
        }
        canWrite() {
            return !world.unwritable.includes(this.name)
        }
    }
    class GlideRecord {
        constructor(table) {
            this.table = table
            Object.assign(this, { conditions: [], limit: undefined, notes: {}, changed: [], done: 'update', row: {}, found: [] })
            return new Proxy(this, {
                get: (target, name) =>
                    name in target || typeof name === 'symbol' ? target[name] : new Field(target, name),
                set: (target, name, value) => {
                    if (['work_notes', 'comments'].includes(name)) target.notes = { ...target.notes, [name]: value }
                    else target[name] = value
                    return true
                },
            })
        }
        initialize() {
            this.row = {}
        }
        addQuery(...condition) {
            this.conditions.push(condition)
        }
        orderBy() {}
        setLimit(limit) {
            this.limit = limit
        }
        query() {
            const holds = (row, [name, operator, value]) =>
                value === undefined
                    ? row[name] === operator
                    : operator === '<='
                      ? row[name] <= value
                      : row[name] < value
            this.found = Object.values(world.tables[this.table])
                .filter((row) => this.conditions.every((condition) => holds(row, condition)))
                .slice(0, this.limit)
        }
        next() {
            this.row = this.found.shift()
            if (this.row) this.row = { ...this.row }
            return !!this.row
        }
        get(name, value) {
            const rows = Object.values(world.tables[this.table])
            const found = value === undefined ? world.tables[this.table][name] : rows.find((row) => row[name] === value)
            if (found) this.row = { ...found }
            return !!found
        }
        insert() {
            const unique = world.unique[this.table]
            if (Object.values(world.tables[this.table]).some((row) => unique && row[unique] === this.row[unique])) return null
            const id = world.id()
            Object.assign(this.row, { sys_id: id, sys_created_on: stamp(world.now), sys_updated_on: stamp(world.now) })
            world.tables[this.table][id] = { ...this.row }
            return id
        }
        update() {
            if (this.table === 'incident' && world.refusesUpdate) return null
            const old = world.tables[this.table][this.row.sys_id]
            const journal = { ...old.journal }
            for (const [name, text] of Object.entries(this.notes ?? {})) journal[name] = [...(journal[name] ?? []), text]
            this.notes = {}
            const row = { ...old, ...this.row, journal, sys_updated_on: stamp(world.now) }
            row.sys_mod_count = String(Number(old.sys_mod_count ?? 0) + 1)
            world.tables[this.table][this.row.sys_id] = row
            world.afterUpdate?.(this.table)
            return row.sys_id
        }
        deleteRecord() {
            delete world.tables[this.table][this.row.sys_id]
        }
        deleteMultiple() {
            this.query()
            for (const row of this.found) delete world.tables[this.table][row.sys_id]
        }
        getValue(name) {
            return this.row[name] ?? null
        }
        getDisplayValue(name) {
            return this.row[`${name}_display`] ?? this.row[name] ?? ''
        }
        setValue(name, value) {
            this.row[name] = typeof value === 'number' ? value : String(value)
        }
        getUniqueValue() {
            return this.row.sys_id
        }
        getTableName() {
            return this.table
        }
        getLastErrorMessage() {
            return world.refusesUpdate
        }
        isValidField(name) {
            return this.table !== 'incident' || ['work_notes', 'comments'].includes(name) || name in this.row
        }
        operation() {
            return this.done
        }
    }
    class GlideDateTime {
        constructor(value) {
            this.ms = value === undefined ? world.now : Date.parse(value.replace(' ', 'T') + 'Z')
        }
        getValue() {
            return stamp(this.ms)
        }
        getNumericValue() {
            return this.ms
        }
        addSeconds(seconds) {
            this.ms += seconds * 1000
        }
    }
    class CertificateEncryption {
        generateMac(key, algorithm, data) {
            if (algorithm !== 'HmacSHA256') throw new Error(algorithm)
            return createHmac('sha256', Buffer.from(key, 'base64')).update(data, 'utf8').digest('base64')
        }
    }
    class RESTMessageV2 {
        constructor() {
            this.headers = {}
        }
        setEndpoint(url) {
            this.url = url
        }
        setHttpMethod(method) {
            this.method = method
        }
        setHttpTimeout(ms) {
            this.timeout = ms
        }
        setRequestHeader(name, value) {
            this.headers[name] = value
        }
        setRequestBody(body) {
            this.body = body
        }
        execute() {
            world.sent.push({ ...this })
            const answer = world.answers.shift() ?? { status: 202 }
            if (answer.throws) throw new Error(answer.throws)
            return {
                getStatusCode: () => answer.status,
                getHeader: (name) => answer.headers?.[name] ?? null,
                getBody: () => answer.body ?? '',
                getErrorMessage: () => '',
            }
        }
    }
    const Class = {
        create: () =>
            function (...given) {
                this.initialize(...given)
            },
    }
    return {
        Class,
        GlideRecord,
        GlideRecordSecure: GlideRecord,
        GlideDateTime,
        CertificateEncryption,
        GlideEncrypter: class {
            decrypt(value) {
                return Buffer.from(value.slice(4), 'base64').toString()
            }
        },
        GlideFilter: { checkRecord: (record, query) => query.split('=')[1] === record.getValue(query.split('=')[0]) },
        sn_ws: { RESTMessageV2 },
        gs: {
            getProperty: (name, standard) => world.properties[name] ?? standard,
            getUserName: () => world.user,
            getUserID: () => 'u'.padEnd(32, '0'),
            generateGUID: () => world.id(),
            daysAgo: (days) => stamp(world.now - days * 86400_000),
            error: (text) => world.errors.push(text),
        },
    }
}

// An incident as the rule sees it: the row, and which journals this change wrote.
export function changed(world, row, changes = []) {
    const record = new world.context.GlideRecord('incident')
    record.row = { sys_id: world.id(), number: 'INC0010001', state: '1', assignment_group: '', ...row }
    record.changed = changes
    return record
}
