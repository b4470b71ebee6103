// Prints one signed request of the drain job as JSON, for a check in another language: `node emit.mjs SECRET UNIX`.
import { changed, instance } from './standins.mjs'

const [secret, unix, old] = process.argv.slice(2)
const world = instance({ now: Number(unix) * 1000 })
world.properties['x_hitl_hub.secret'] = secret
world.properties['x_hitl_hub.secret_old'] = old ?? ''
const row = { assignment_group: world.properties['x_hitl_hub.group'], short_description: 'Ist das für \u{1F600} richtig?', priority: '1', priority_display: '1 - Critical', sys_mod_count: '7' }
world.context.current = changed(world, row)
world.context.previous = changed(world, { ...row, assignment_group: '' })
world.run('new HitlRule().afterChange(current, previous); new HitlDrain().run()')
const [{ headers, body }] = world.sent
console.log(JSON.stringify({ headers, body }))
