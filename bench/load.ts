/** Sends signed webhooks over raw keep-alive connections; a process of its own, so that it disturbs the server as little as two cores allow. */
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';

import { percentile } from './figure.ts';
import type { Load, LoadResult } from './http-load.ts';
import { openShop } from './texts/shop.ts';

process.once('message', (plan) => {
  void run(plan as Load).then((result) => process.send?.(result));
});

function sign(token: string, url: string, form: Buffer): string {
  const fields = [...new URLSearchParams(form.toString('latin1'))].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHmac('sha1', token)
    .update(url + fields.map(([name, value]) => name + value).join(''))
    .digest('base64');
}

/** All requests, made before the clock runs. */
function makeRequests({ url, signUrl, token, requests, seed }: Load): Buffer[] {
  const target = new URL(url);
  const shop = openShop(seed, requests, 'plain');
  return Array.from({ length: requests }, () => {
    const { body } = shop.next();
    const head = `POST ${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: ${sign(token, signUrl, body)}\r\nContent-Length: ${body.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head, 'latin1'), body]);
  });
}

async function run(plan: Load): Promise<LoadResult> {
  const target = new URL(plan.url);
  const requests = makeRequests(plan);
  const latencies: number[] = [];
  let next = 0;
  let failed = 0;
  const startedAt = performance.now();
  const dueAt = (index: number): number =>
    plan.perSecond === undefined ? 0 : startedAt + (index / plan.perSecond) * 1000;

  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(target.port), target.hostname);
      socket.setNoDelay(true);
      let sentAt = 0;
      const send = (): void => {
        const index = next++;
        const bytes = requests[index];
        if (bytes === undefined) {
          socket.end();
          resolve();
          return;
        }
        const wait = dueAt(index) - performance.now();
        const go = (): void => {
          // Latency counts from when it was due, so that a slow server cannot hide behind a slow sender.
          sentAt = plan.perSecond === undefined ? performance.now() : Math.max(dueAt(index), startedAt);
          socket.write(bytes);
        };
        if (wait > 1) setTimeout(go, wait);
        else go();
      };
      socket.on('data', (data) => {
        latencies.push(performance.now() - sentAt);
        if (!data.subarray(0, 12).equals(Buffer.from('HTTP/1.1 200'))) failed += 1;
        send();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed a connection before all was sent')));
      socket.on('connect', send);
    });
  await Promise.all(Array.from({ length: plan.connections }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    perSecond: plan.requests / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    bytes: requests.reduce((sum, bytes) => sum + bytes.length, 0),
    failed,
  };
}
