// Plays the results endpoint for a check in another language: reads {key, body, unwritable} from standard input, puts it
// twice, and prints both answers and the notes.
import { readFileSync } from 'node:fs'
import { instance } from './standins.mjs'

const { key, body, unwritable } = JSON.parse(readFileSync(0, 'utf8'))
const world = instance({ unwritable })
world.tables.incident[body.incident] = { sys_id: body.incident, state: '2', active: '1', close_code: '', close_notes: '', sys_mod_count: '3' }
world.context.body = body
world.context.key = key
const answers = [1, 2].map(() => JSON.parse(world.run('JSON.stringify(new HitlResults().put(key, body))')))
console.log(JSON.stringify({ answers, notes: world.tables.incident[body.incident].journal?.work_notes ?? [] }))
