/**
 * What a person does with an unpacked release, done by its own Node: make an archive, start the server, send one signed text, find it, stop.
 * Plain JavaScript without dependencies, so that it runs where there is nothing else. Prints what it saw as JSON.
 *
 *   node run-release.mjs <folder of the release> <data directory> <port>
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';

const [release, data, port] = process.argv.slice(2);
const launcher = path.join(release, 'bin', 'cartulary.mjs');
const env = { CARTULARY_DATA: data, CARTULARY_LISTEN: `127.0.0.1:${port}`, CARTULARY_LOG_LEVEL: 'warn' };
const READY_MS_MAX = 60_000;

const cartulary = (...args) =>
  JSON.parse(execFileSync(process.execPath, [launcher, ...args, '--json'], { env, cwd: release, encoding: 'utf8' }));

cartulary('init', '--name', 'Released');
const server = spawn(process.execPath, [launcher, 'start', '--must-exist'], {
  env,
  cwd: release,
  stdio: ['ignore', 'inherit', 'inherit'],
});
const ended = once(server, 'exit');
try {
  const ready = await untilReady();
  const key = Buffer.alloc(24, 7);
  const { hookUrl } = cartulary(
    'source',
    'add',
    'standard-webhooks',
    '--name',
    'one',
    '--secret',
    `whsec_${key.toString('base64')}`,
  );
  const body = JSON.stringify({
    type: 'message.created',
    timestamp: new Date().toISOString(),
    data: {
      id: 'r1',
      channel: 'chat',
      direction: 'inbound',
      from: 'ann@example.com',
      to: ['shop'],
      text: 'a copper kettle',
    },
  });
  const at = String(Math.floor(Date.now() / 1000));
  const signature = createHmac('sha256', key).update(`msg_1.${at}.${body}`).digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': at,
    'webhook-signature': `v1,${signature}`,
  };
  const answer = await fetch(hookUrl, { method: 'POST', headers, body });
  const found = untilFound();
  const sound = cartulary('verify').ok;
  const live = (await fetch(`http://127.0.0.1:${port}/healthz`)).status;
  server.kill('SIGTERM');
  const [code] = await ended;
  process.stdout.write(
    JSON.stringify({ ready, live, accepted: answer.status, found, sound, code, node: process.version }),
  );
} finally {
  server.kill('SIGKILL');
}

/** The index follows within a second. */
function untilFound() {
  for (const deadline = Date.now() + READY_MS_MAX; Date.now() < deadline;) {
    const { total } = cartulary('search', 'kettle');
    if (total > 0) return total;
  }
  return 0;
}

async function untilReady() {
  for (const deadline = Date.now() + READY_MS_MAX; Date.now() < deadline;) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return answer.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the server was not ready');
}
