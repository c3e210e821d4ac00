/**
 * Loaded into a process and so into each of its threads (`NODE_OPTIONS=--import`). The thread whose name stands in the file `DIE_IN_THREAD` dies of what is named beside it, from the
 * inside and at a moment that nobody chose, as from a bug of its own: `exit`, `throw` or `memory`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isMainThread, threadName } from 'node:worker_threads';

const path = process.env['DIE_IN_THREAD'];

if (!isMainThread && path !== undefined) {
  setInterval(() => {
    if (!existsSync(path)) return;
    const [name, way] = readFileSync(path, 'utf8').split(' ');
    if (name !== threadName) return;
    if (way === 'exit') process.exit(1);
    if (way === 'throw') throw new Error('a bug');
    const held = [];
    for (;;) held.push(Array.from({ length: 10_000 }, (_none, index) => `${held.length} ${index}`));
  }, 5).unref();
}
