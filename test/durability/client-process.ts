/**
 * A client as a process of its own: sends webhooks over raw keep-alive connections, writes its journal, sends again what was not acknowledged, as a
 * platform does, and some of what was. It outlives the server: where nobody listens it waits. Started by `client.ts`.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

import { createRandom } from '../../bench/random.ts';
import type { ClientCounts, ClientOrder, ClientSetup } from './client.ts';
import { openJournal } from './journal.ts';
import { makePayload, makeRequest } from './payload.ts';

/** Milliseconds until an answer that does not come counts as unknown. */
const ANSWER_MS_MAX = 20_000;
/** Milliseconds between two tries to reach a server that does not listen; more often they would take the time that its start needs. */
const CONNECT_EVERY_MS = 50;
/** Milliseconds until a connection without work looks for some again. */
const IDLE_MS = 10;
/** Milliseconds until a refused or cut-off message is sent again; doubled with each attempt. */
const RETRY_MS = 25;
const RETRY_MS_MAX = 1000;
/** Messages that wait to be sent again at most; above it no new ones are made. */
const RETRIES_MAX = 1000;
/** The latest acknowledged messages, of which some are sent again. */
const ACKED_MAX = 4000;

const setup = JSON.parse(process.argv[2] ?? '{}') as ClientSetup;
const random = createRandom(setup.seed);
const journal = openJournal(setup.journal, setup.client);
const target = new URL(setup.hookUrl);
const counts: ClientCounts = { sent: 0, acked: 0, refused: 0, unknown: 0, again: 0, givenUp: 0, waiting: 0 };
const retries: { n: number; attempts: number; dueAtMs: number }[] = [];
const acked: number[] = [];
let nextN = setup.firstN ?? 0;
const state: { mode: Exclude<ClientOrder, 'counts'> } = { mode: 'pause' };
let goneSinceMs = performance.now();
let made = 0;
let underWay = 0;

type Turn = { readonly n: number; readonly attempts: number; readonly isAgain: boolean };

/** What is to be sent next; undefined where there is nothing now. */
function takeTurn(): Turn | undefined {
  const now = performance.now();
  const due = retries.findIndex(({ dueAtMs }) => dueAtMs <= now);
  const [retry] = due < 0 ? [] : retries.splice(due, 1);
  if (retry !== undefined) return { ...retry, isAgain: false };
  if (state.mode !== 'go' || retries.length >= RETRIES_MAX) return undefined;
  if (setup.perSecond !== undefined && made >= ((now - goneSinceMs) / 1000) * setup.perSecond) return undefined;
  made += 1;
  const old = random() < setup.againShare ? acked[Math.floor(random() * acked.length)] : undefined;
  if (old !== undefined) return { n: old, attempts: 0, isAgain: true };
  return { n: nextN++, attempts: 0, isAgain: false };
}

/** One connection: sends one message after the other. */
async function runLane(): Promise<void> {
  let socket: Socket | undefined;
  while (state.mode !== 'stop') {
    if (state.mode === 'pause') {
      await pause(IDLE_MS);
      continue;
    }
    socket = socket === undefined || socket.destroyed ? await open() : socket;
    if (socket === undefined) {
      await pause(CONNECT_EVERY_MS);
      continue;
    }
    const turn = takeTurn();
    if (turn === undefined) {
      await pause(IDLE_MS);
      continue;
    }
    underWay += 1;
    await send(socket, turn);
    underWay -= 1;
  }
  socket?.destroy();
}

async function send(socket: Socket, { n, attempts, isAgain }: Turn): Promise<void> {
  const payload = makePayload(setup.client, n);
  const bytes = makeRequest(setup.hookUrl, payload);
  journal.write(n, payload.sid, payload.hash, isAgain ? 'again' : 'sent');
  if (isAgain) counts.again += 1;
  else if (attempts === 0) counts.sent += 1;
  const status = await exchange(socket, bytes);
  journal.write(
    n,
    payload.sid,
    payload.hash,
    status === 200 ? 'acked' : status === undefined ? 'unknown' : `error:${status}`,
  );
  if (isAgain) return;
  if (status === 200) {
    counts.acked += 1;
    acked[counts.acked % ACKED_MAX] = n;
    return;
  }
  if (status === undefined) counts.unknown += 1;
  else counts.refused += 1;
  // Platforms give up in the end; what was cut off and never sent again is there once or not at all.
  if (random() < setup.giveUpShare) counts.givenUp += 1;
  else
    retries.push({
      n,
      attempts: attempts + 1,
      dueAtMs: performance.now() + Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** attempts),
    });
}

function open(): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(Number(target.port), target.hostname);
    socket.setNoDelay(true);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(undefined));
  });
}

/** Sends a request and reads the answer: its status, or undefined where the connection broke before it was whole. */
function exchange(socket: Socket, bytes: Buffer): Promise<number | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const end = (status: number | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      if (status === undefined) socket.destroy();
      resolve(status);
    };
    const onData = (data: Buffer): void => {
      answer += data.toString('latin1');
      const bodyAt = answer.indexOf('\r\n\r\n') + 4;
      if (bodyAt < 4) return;
      const length = /^content-length: *(\d+)/im.exec(answer.slice(0, bodyAt))?.[1];
      if (answer.length < bodyAt + Number(length ?? 0)) return;
      if (/^connection: *close/im.test(answer.slice(0, bodyAt))) socket.destroy();
      end(Number(answer.slice(9, 12)));
    };
    const onClose = (): void => end(undefined);
    const timer = setTimeout(onClose, ANSWER_MS_MAX);
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.write(bytes);
  });
}

async function obey({ id, order }: { id: number; order: ClientOrder }): Promise<void> {
  if (order === 'go' && state.mode !== 'go') {
    goneSinceMs = performance.now();
    made = 0;
  }
  if (order !== 'counts') state.mode = order;
  const mustWait = (): boolean =>
    (order === 'pause' && underWay > 0) || (order === 'drain' && underWay + retries.length > 0);
  while (mustWait()) await pause(IDLE_MS);
  if (order === 'stop') await lanes;
  process.send?.({ id, counts: { ...counts, waiting: retries.length } });
  if (order === 'stop') {
    journal.close();
    process.disconnect();
  }
}

process.on('message', (message) => void obey(message as { id: number; order: ClientOrder }));
// Whoever started it is gone: nobody reads what it would go on to do.
process.on('disconnect', () => process.exit());
const lanes = Promise.all(Array.from({ length: setup.connections }, runLane));
process.send?.({ id: 0, counts });
