// Everything that the app brings: who may call it, what it is told by properties, its two tables, the rule that notices,
// the job that sends, and the endpoint that takes answers.
import '@servicenow/sdk/global'
import {
    Acl,
    BusinessRule,
    DateTimeColumn,
    IntegerColumn,
    Property,
    RestApi,
    Role,
    ScheduledScript,
    ScriptInclude,
    StringColumn,
    Table,
} from '@servicenow/sdk/core'

export const integration = Role({
    name: 'x_hitl_hub.integration',
    description: 'May write answers through the results endpoint. For the integration user of the hub alone.',
})
export const manager = Role({
    name: 'x_hitl_hub.manager',
    description: 'May see outbox and deliveries, and change the properties.',
})

Property({
    $id: Now.ID['url'],
    name: 'x_hitl_hub.url',
    type: 'string',
    description: "The hub's address for this connector: https://HUB/hooks/in/CONNECTOR-ID",
    value: '',
    isPrivate: true,
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['secret'],
    name: 'x_hitl_hub.secret',
    type: 'password2',
    description: 'Signs every event: whsec_ and base64, the same as in the connector file of the hub',
    isPrivate: true,
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['secret_old'],
    name: 'x_hitl_hub.secret_old',
    type: 'password2',
    description: 'While the secret is being changed: the former one. Empty otherwise',
    isPrivate: true,
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['integration_user'],
    name: 'x_hitl_hub.integration_user',
    type: 'string',
    description: 'User name of the integration user; what it changes makes no event',
    value: 'svc.hitl',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['group'],
    name: 'x_hitl_hub.group',
    type: 'string',
    description: 'sys_id of the assignment group of the people; assigning a record to it asks them',
    value: '',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['request_field'],
    name: 'x_hitl_hub.request_field',
    type: 'string',
    description: 'A true/false field that asks the people when it becomes true, such as u_hitl_requested. Empty: none',
    value: '',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['fields'],
    name: 'x_hitl_hub.fields',
    type: 'string',
    description: 'The fields that leave the instance, separated by commas; nothing else does',
    value: 'number,short_description,description,priority,opened_at',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['condition'],
    name: 'x_hitl_hub.condition',
    type: 'string',
    description: 'An encoded query that a record must meet besides, such as category=network. Empty: every record',
    value: '',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['closed_states'],
    name: 'x_hitl_hub.closed_states',
    type: 'string',
    description: 'Values of state in which nobody has to answer any more, separated by commas',
    value: '6,7,8',
    roles: { read: [manager], write: [manager] },
})
Property({
    $id: Now.ID['tables'],
    name: 'x_hitl_hub.tables',
    type: 'string',
    description: 'Tables into which answers may be written, separated by commas',
    value: 'incident',
    roles: { read: [manager], write: [manager] },
})

export const x_hitl_hub_outbox = Table({
    name: 'x_hitl_hub_outbox',
    label: 'HITL outbox',
    display: 'event_id',
    accessibleFrom: 'package_private',
    createAccessControls: true,
    userRole: manager,
    schema: {
        event_id: StringColumn({ label: 'Event id', maxLength: 40, mandatory: true }),
        record: StringColumn({ label: 'Record', maxLength: 32 }),
        payload: StringColumn({ label: 'Payload', maxLength: 1000000 }),
        state: StringColumn({
            label: 'State',
            maxLength: 10,
            choices: { new: { label: 'New' }, done: { label: 'Done' }, dead: { label: 'Dead' } },
        }),
        attempts: IntegerColumn({ label: 'Attempts' }),
        next_at: DateTimeColumn({ label: 'Next attempt' }),
        answer: StringColumn({ label: 'Last answer', maxLength: 1000 }),
    },
    index: [
        { name: 'event_id', element: 'event_id', unique: true },
        { name: 'due', element: ['state', 'next_at'], unique: false },
    ],
})

export const x_hitl_hub_delivery = Table({
    name: 'x_hitl_hub_delivery',
    label: 'HITL delivery',
    display: 'delivery_key',
    accessibleFrom: 'package_private',
    createAccessControls: true,
    userRole: manager,
    schema: {
        delivery_key: StringColumn({ label: 'Delivery key', maxLength: 64, mandatory: true }),
        record: StringColumn({ label: 'Record', maxLength: 32 }),
        state: StringColumn({
            label: 'State',
            maxLength: 10,
            choices: { pending: { label: 'Pending' }, done: { label: 'Done' }, refused: { label: 'Refused' } },
        }),
        attempts: IntegerColumn({ label: 'Attempts' }),
        outcome: StringColumn({ label: 'Outcome', maxLength: 4000 }),
    },
    index: [{ name: 'delivery_key', element: 'delivery_key', unique: true }],
})

ScriptInclude({ $id: Now.ID['signer'], name: 'HitlSigner', script: Now.include('../server/signer.js'), active: true })
ScriptInclude({ $id: Now.ID['rule_include'], name: 'HitlRule', script: Now.include('../server/rule.js'), active: true })
ScriptInclude({ $id: Now.ID['drain_include'], name: 'HitlDrain', script: Now.include('../server/drain.js'), active: true })
ScriptInclude({
    $id: Now.ID['results_include'],
    name: 'HitlResults',
    script: Now.include('../server/results.js'),
    active: true,
})

// After, not async: an async rule has no `previous`, and quick updates may run out of order.
BusinessRule({
    $id: Now.ID['notice'],
    name: 'HITL Hub: notice escalations',
    table: 'incident',
    when: 'after',
    action: ['insert', 'update'],
    order: 500,
    active: true,
    script: Now.include('../server/rule_script.js'),
})

ScheduledScript({
    $id: Now.ID['drain'],
    name: 'HITL Hub: send the outbox',
    active: true,
    frequency: 'periodically',
    executionInterval: { minutes: 1 },
    script: Now.include('../server/drain_script.js'),
})

const mayCall = Acl({
    $id: Now.ID['may_call'],
    name: 'x_hitl_hub.results',
    type: 'rest_endpoint',
    operation: 'execute',
    active: true,
    roles: [integration],
})

RestApi({
    $id: Now.ID['results_api'],
    name: 'HITL results',
    serviceId: 'results',
    active: true,
    consumes: 'application/json',
    produces: 'application/json',
    enforceAcl: [mayCall],
    routes: [
        {
            $id: Now.ID['results_put'],
            name: 'put',
            method: 'PUT',
            path: '/{key}',
            authentication: true,
            authorization: true,
            enforceAcl: [mayCall],
            script: Now.include('../server/results_route.js'),
        },
    ],
})

RestApi({
    $id: Now.ID['check_api'],
    name: 'HITL check',
    serviceId: 'check',
    active: true,
    produces: 'application/json',
    enforceAcl: [mayCall],
    routes: [
        {
            $id: Now.ID['check_get'],
            name: 'get',
            method: 'GET',
            path: '/',
            authentication: true,
            authorization: true,
            enforceAcl: [mayCall],
            script: Now.include('../server/check_route.js'),
        },
    ],
})
