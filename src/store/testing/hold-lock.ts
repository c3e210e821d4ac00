/** Holds a lock until it is told to let go or is killed; run by the lock's test as a process of its own: `node hold-lock.ts PATH`. */
import { lockDirectory } from '../lock.ts';

const path = process.argv[2] ?? '';
try {
  const lock = lockDirectory(path);
  process.stdout.write('held\n');
  process.stdin.once('data', () => {
    lock.release();
    process.stdout.write('released\n');
    process.stdin.destroy();
  });
} catch (cause) {
  process.stdout.write(`refused ${cause instanceof Error && 'code' in cause ? String(cause.code) : ''}\n`);
}
