/**
 * Loaded into a process and so into each of its threads (`NODE_OPTIONS=--import`). Each module that is loaded is noted in the file `NOTE_THREADS`, behind the name of the thread that
 * loads it, which is `main` for the main one.
 */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread, threadName } from 'node:worker_threads';

const path = process.env['NOTE_THREADS'];

if (path !== undefined) {
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:')) appendFileSync(path, `${isMainThread ? 'main' : threadName} ${url}\n`);
      return next(url, context);
    },
  });
}
