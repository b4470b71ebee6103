// The app's scripts under Node, on stand-ins: what asks, what is sent when, and one note per key.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changed, instance } from './standins.mjs'

const GROUP = '8a4dde73c6112278017a6a4baf547aa7'
const KEY = 'rep_00000000000000000000000000000001'
const rows = (world, table) => Object.values(world.tables[table])

function after(world, row, before, journals = []) {
    world.context.current = changed(world, row, journals)
    world.context.previous = before === null ? null : changed(world, { ...row, ...before })
    if (before === null) world.context.current.done = 'insert'
    return world.run('new HitlRule().afterChange(current, previous)')
}

test('a transition asks, any other update does not', () => {
    const world = instance()
    world.properties['x_hitl_hub.request_field'] = 'u_ask'
    const asked = { assignment_group: GROUP }
    assert.equal(after(world, asked, { assignment_group: '' }), 'assigned_to_hitl')
    assert.equal(after(world, asked, null), 'assigned_to_hitl')
    assert.equal(after(world, asked, {}), '')
    assert.equal(after(world, asked, {}, ['work_notes']), 'commented')
    assert.equal(after(world, { u_ask: '1' }, { u_ask: '0' }), 'hitl_requested')
    assert.equal(after(world, { u_ask: '1' }, {}), '')
    assert.equal(after(world, { state: '6', ...asked }, { state: '2' }), 'closed')
    assert.equal(after(world, { state: '7', ...asked }, { state: '6' }), '')
    assert.equal(after(world, {}, {}), '')
    assert.equal(rows(world, 'x_hitl_hub_outbox').length, 5)
})

test('what the integration user does asks nothing, and the condition holds others back', () => {
    const world = instance({ user: 'svc.hitl' })
    assert.equal(after(world, { assignment_group: GROUP }, null), '')
    world.user = 'fred.luddy'
    world.properties['x_hitl_hub.condition'] = 'category=network'
    assert.equal(after(world, { assignment_group: GROUP, category: 'hardware' }, null), '')
    assert.equal(after(world, { assignment_group: GROUP, category: 'network' }, null), 'assigned_to_hitl')
})

test('only the allowed fields leave, in ASCII', () => {
    const world = instance()
    const row = { assignment_group: GROUP, short_description: 'Für \u{1F600}', priority: '1', caller_id: 'secret', sys_mod_count: '7' }
    after(world, { ...row, priority_display: '1 - Critical' }, null)
    const [{ payload }] = rows(world, 'x_hitl_hub_outbox')
    assert.match(payload, /^[\x20-\x7e]*$/)
    const event = JSON.parse(payload)
    assert.deepEqual(Object.keys(event.fields).sort(), ['assignment_group', 'number', 'priority', 'short_description', 'state'].concat('sys_mod_count').sort())
    assert.deepEqual(event.fields.priority, { value: '1', display_value: '1 - Critical' })
    assert.equal(event.fields.short_description.value, 'Für \u{1F600}')
    assert.equal(event.source.revision, '7')
    assert.equal(event.type, 'record.created')
})

test('a journal travels only with the change that wrote it', () => {
    const world = instance()
    const note = { assignment_group: GROUP, journal: { work_notes: ['Verified. [hub:rep_1]', 'mine'] } }
    after(world, note, {}, ['work_notes'])
    after(world, note, { assignment_group: '' })
    const events = rows(world, 'x_hitl_hub_outbox').map((row) => JSON.parse(row.payload))
    assert.deepEqual(events.map((event) => event.fields.work_notes), ['mine', undefined])
})

test('the schedule of an outbox row', () => {
    const drain = instance().run('new HitlDrain()')
    const plain = (value) => ({ ...value })
    for (const status of [200, 202, 409, 410]) assert.equal(drain.decide(status, null, 1, 0).state, 'done')
    for (const status of [400, 403, 413, 422]) assert.equal(drain.decide(status, null, 1, 0).state, 'dead')
    const waits = [1, 2, 3, 6, 7, 12].map((attempts) => drain.decide(503, null, attempts, 0).wait)
    assert.deepEqual(waits, [60, 120, 240, 1920, 3600, 3600])
    for (const status of [0, 401, 404, 408, 429, 500]) assert.equal(drain.decide(status, null, 1, 0).state, 'new')
    assert.deepEqual(plain(drain.decide(429, '17', 3, 0)), { state: 'new', wait: 17 })
    assert.equal(drain.decide(429, 'Wed, 21 Oct 2026 07:28:00 GMT', 1, 0).wait, 60)
    assert.equal(drain.decide(503, null, 9, 86400 - 3599).state, 'dead')
    assert.equal(drain.decide(503, null, 9, 86400 - 3600).state, 'new')
})

test('a row is sent until it is taken, with the same id and a new time', () => {
    const world = instance({ answers: [{ throws: 'timeout' }, { status: 503, headers: { 'Retry-After': '90' } }, { status: 202 }] })
    after(world, { assignment_group: GROUP }, null)
    const drain = () => world.run('new HitlDrain().run()')
    assert.equal(drain(), 1)
    assert.equal(drain(), 0)
    world.now += 60_000
    assert.equal(drain(), 1)
    world.now += 89_000
    assert.equal(drain(), 0)
    world.now += 1_000
    assert.equal(drain(), 1)
    const [row] = rows(world, 'x_hitl_hub_outbox')
    assert.equal(row.state, 'done')
    assert.equal(Number(row.attempts), 3)
    assert.equal(new Set(world.sent.map((one) => one.headers['webhook-id'])).size, 1)
    assert.equal(new Set(world.sent.map((one) => one.headers['webhook-signature'])).size, 3)
    world.now += 31 * 86400_000
    drain()
    assert.deepEqual(rows(world, 'x_hitl_hub_outbox'), [])
})

test('a refused row is dead and said so; without a secret nothing leaves', () => {
    const world = instance({ answers: [{ status: 422, body: 'no' }] })
    after(world, { assignment_group: GROUP }, null)
    world.run('new HitlDrain().run()')
    assert.equal(rows(world, 'x_hitl_hub_outbox')[0].state, 'dead')
    assert.match(world.errors[0], /given up: 422 no/)
    const silent = instance()
    silent.properties['x_hitl_hub.secret'] = ''
    after(silent, { assignment_group: GROUP }, null)
    silent.run('new HitlDrain().run()')
    assert.equal(silent.sent.length, 0)
    assert.match(silent.errors[0], /x_hitl_hub.secret/)
})

test('an encrypted property is decrypted, two secrets sign', () => {
    const world = instance()
    const plain = world.properties['x_hitl_hub.secret']
    world.properties['x_hitl_hub.secret'] = 'enc:' + Buffer.from(plain).toString('base64')
    world.properties['x_hitl_hub.secret_old'] = 'whsec_b2xk'
    assert.deepEqual([...world.run('new HitlSigner().secrets()')], [plain, 'whsec_b2xk'])
    assert.match(world.run("new HitlSigner().sign(new HitlSigner().secrets(), 'i', '1', '{}')"), /^v1,\S+ v1,\S+$/)
})

// --- results

function incident(world, row = {}) {
    const id = world.id()
    world.tables.incident[id] = { sys_id: id, state: '2', active: '1', close_code: '', u_answer: '', sys_mod_count: '3', ...row }
    return id
}

function put(world, id, body = {}, key = KEY) {
    const marker = `[hub:${key}]`
    world.context.body = { incident: id, table: 'incident', work_notes: `Verified. ${marker}`, fields: {}, marker, on_conflict: 'comment_only', closed_states: ['6', '7', '8'], ...body }
    return world.run(`JSON.stringify(new HitlResults().put('${key}', body))`)
}
const notes = (world, id) => world.tables.incident[id].journal?.work_notes ?? []

test('a key is written once and answers the same for ever', () => {
    const world = instance()
    const id = incident(world)
    const first = put(world, id, { fields: { state: '6', close_code: 'Solution provided' } })
    assert.deepEqual(JSON.parse(first), { status: 200, result: { state: 'done', incident: id, written: ['work_notes', 'state', 'close_code'], refused: [], skipped: [], revision: '4' } })
    world.tables.incident[id].state = '2'
    assert.equal(put(world, id, { fields: { state: '6' } }), first)
    assert.equal(notes(world, id).length, 1)
    assert.equal(world.tables.incident[id].state, '2')
})

test('a key left half-way is finished: by the marker, or by writing', () => {
    for (const [written, expected] of [[true, 1], [false, 1]]) {
        const world = instance()
        const id = incident(world, written ? { journal: { work_notes: [`Verified. [hub:${KEY}]`] } } : {})
        const row = new world.context.GlideRecord('x_hitl_hub_delivery')
        row.initialize()
        row.setValue('delivery_key', KEY)
        row.setValue('state', 'pending')
        row.insert()
        assert.equal(JSON.parse(put(world, id)).status, 409)
        world.now += 91_000
        assert.equal(JSON.parse(put(world, id, { fields: { u_answer: 'yes' } })).result.state, 'done')
        assert.equal(notes(world, id).length, expected)
        assert.equal(world.tables.incident[id].u_answer, 'yes')
    }
})

test('dying right after the note leaves one note', () => {
    const world = instance()
    const id = incident(world)
    world.afterUpdate = (table) => {
        if (table === 'incident') throw new Error('node restarted')
    }
    assert.throws(() => put(world, id))
    world.afterUpdate = undefined
    world.now += 91_000
    assert.equal(JSON.parse(put(world, id)).result.state, 'done')
    assert.equal(notes(world, id).length, 1)
})

test('refused fields are named; a refused text frees the key', () => {
    const world = instance({ unwritable: ['close_code'] })
    const id = incident(world)
    const one = JSON.parse(put(world, id, { fields: { close_code: 'x', u_answer: 'yes', u_no: '1' } })).result
    assert.deepEqual([one.state, one.written, one.refused], ['done', ['work_notes', 'u_answer'], ['close_code', 'u_no']])
    const other = incident(world)
    world.unwritable = ['work_notes']
    assert.equal(JSON.parse(put(world, other, {}, 'rep_2')).result.state, 'refused')
    world.unwritable = []
    assert.equal(JSON.parse(put(world, other, {}, 'rep_2')).result.state, 'done')
    assert.equal(notes(world, other).length, 1)
})

test('a closed record gets the text alone', () => {
    const world = instance()
    const id = incident(world, { state: '7' })
    const { result } = JSON.parse(put(world, id, { fields: { state: '6' } }))
    assert.deepEqual([result.written, result.skipped, world.tables.incident[id].state], [['work_notes'], ['state'], '7'])
    const over = JSON.parse(put(world, id, { fields: { state: '6' }, on_conflict: 'overwrite' }, 'rep_2')).result
    assert.deepEqual([over.skipped, world.tables.incident[id].state], [[], '6'])
})

test('an update that is stopped is a 403 with its words, and can come again', () => {
    const world = instance({ refusesUpdate: 'Data Policy Exception: close_code' })
    const id = incident(world)
    const answer = JSON.parse(put(world, id))
    assert.deepEqual([answer.status, answer.detail], [403, 'Data Policy Exception: close_code'])
    world.refusesUpdate = ''
    assert.equal(JSON.parse(put(world, id)).status, 200)
})

test('what it does not take', () => {
    const world = instance()
    const id = incident(world)
    for (const body of [{ incident: '../x' }, { table: 'sys_user' }, { fields: { sys_created_by: 'x' } }, { marker: '' }])
        assert.equal(JSON.parse(put(world, id, body)).status, 400)
    assert.equal(JSON.parse(put(world, id, {}, '../x')).status, 400)
    assert.equal(JSON.parse(put(world, 'f'.repeat(32))).status, 404)
    assert.equal(JSON.parse(world.run(`JSON.stringify(new HitlResults().put('k', null))`)).status, 400)
})

test('check tells what the integration user may not do', () => {
    const world = instance({ unwritable: ['close_code'] })
    incident(world)
    const found = JSON.parse(world.run("JSON.stringify(new HitlResults().check('incident', ['close_code', 'state', 'u_no']))"))
    assert.deepEqual(found, { version: '1.0.0', secret: true, unreadable: ['u_no'], unwritable: ['close_code', 'u_no'] })
})
