/** Runs one program in our place: same streams, signals passed on, end passed back. */
import { spawn } from 'node:child_process';
import os from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Starts a program and waits for its end. Signals that reach us meanwhile are passed on and do not end us.
 * @param {string} file
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options] streams are inherited unless told otherwise
 * @returns {Promise<{ code: number | null, signal: string | null }>} how it ended; rejects when it could not be started
 */
export function runChild(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', ...options });
    const forward = (signal) => {
      // The keyboard's Ctrl-C reaches every process of the terminal's foreground group by itself. Passing it on would
      // make two of one, and a second one commonly means "stop without tidying up".
      if (signal !== 'SIGTERM' && process.stdin.isTTY === true) return;
      child.kill(signal);
    };
    const done = () => {
      for (const signal of SIGNALS) process.off(signal, forward);
    };
    for (const signal of SIGNALS) process.on(signal, forward);
    child.once('error', (error) => {
      done();
      reject(error);
    });
    child.once('exit', (code, signal) => {
      done();
      resolve({ code, signal });
    });
  });
}

/**
 * Ends this process as the child ended, so that whoever waits for us sees no difference.
 * @param {{ code: number | null, signal: string | null }} end
 */
export function endLike({ code, signal }) {
  if (signal === null) {
    process.exitCode = code ?? 1;
  } else if (SIGNALS.includes(signal)) {
    process.kill(process.pid, signal);
  } else {
    process.exitCode = 128 + os.constants.signals[signal];
  }
}
