/** What may happen to an archive, each with what it must do to a simple list of messages. */
import { expect } from 'vitest';
import * as fc from 'fast-check';

import { reprocessQuarantine } from '../../src/capture/reprocess.ts';
import { CartularyError } from '../../src/model/errors.ts';
import { parseId } from '../../src/model/ids.ts';
import { LOCAL_CALLER } from '../support/service.ts';
import { BEGUN_MS } from './product.ts';
import type { Product } from './product.ts';

type Revision = { readonly atMs: number; readonly knownAtMs: number; readonly text: string };

/** A message as the model has it. */
type ModelMessage = {
  id?: string;
  created?: Revision;
  readonly edits: Revision[];
  deletedMs?: number;
  readonly states: string[];
  readonly reactions: string[];
  media: boolean;
  firstKnownMs: number;
  /** Records that the log must hold of it. */
  records: number;
  destroyed: boolean;
};

/** How often each kind of command was run, and how long all of that took, ms. */
export type Spent = Map<string, { times: number; ms: number }>;

/** The whole model: what was sent, and how large the log must be. */
export type Model = {
  readonly messages: Map<string, ModelMessage>;
  readonly spent: Spent;
  size: number;
  last: unknown;
  counter: number;
};

export type Command = fc.AsyncCommand<Model, Product>;

const isFound = ({ created, destroyed }: ModelMessage): boolean => created !== undefined && !destroyed;
/** What it said, in the order in which it did; an edit may be known before what it edits. */
const textsOf = ({ created, edits }: ModelMessage): Revision[] =>
  [...(created === undefined ? [] : [created]), ...edits].sort((one, other) => one.atMs - other.atMs);
/** The text as it was known at a time. */
const textAt = (message: ModelMessage, knownAtMs: number): string | null =>
  textsOf(message)
    .filter((revision) => revision.knownAtMs <= knownAtMs)
    .at(-1)?.text ?? null;
const iso = (ms: number): string => new Date(ms).toISOString();

function command(name: string, run: (model: Model, product: Product) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, product) {
      product.clock.ms += 1_000;
      const begun = performance.now();
      await run(model, product);
      note(model.spent, name.replace(/ m\d.*/, ''), performance.now() - begun);
      expect(await product.service.archive.size(), 'the size of the log').toBe(model.size);
    },
    toString: () => name,
  };
}

function note(spent: Spent, name: string, ms: number): void {
  const before = spent.get(name) ?? { times: 0, ms: 0 };
  spent.set(name, { times: before.times + 1, ms: before.ms + ms });
}

function messageOf(model: Model, name: string, nowMs: number): ModelMessage {
  const known = model.messages.get(name);
  if (known !== undefined) return known;
  const made: ModelMessage = {
    edits: [],
    states: [],
    reactions: [],
    media: false,
    firstKnownMs: nowMs,
    records: 0,
    destroyed: false,
  };
  model.messages.set(name, made);
  return made;
}

/** What can be said of a message but once: that it was written, that it was deleted, and each of its states. */
function isKnown({ created, deletedMs, states }: ModelMessage, type: string, data: object): boolean {
  if (type === 'message.created') return created !== undefined;
  if (type === 'message.deleted') return deletedMs !== undefined;
  return type === 'message.status' && 'state' in data && states.some((state) => state === data.state);
}

/** Sends an event that is new unless it creates what is there; then the model takes it over. */
async function send(
  model: Model,
  product: Product,
  name: string,
  event: { readonly type: string; readonly data: object },
  atMs: number,
  apply: (message: ModelMessage) => void,
): Promise<void> {
  const message = messageOf(model, name, product.clock.ms);
  const isDuplicate = isKnown(message, event.type, event.data);
  model.counter += 1;
  const whole = { type: event.type, timestamp: iso(atMs), id: `e${model.counter}`, data: { id: name, ...event.data } };
  const { stored, messageIds } = await product.send(whole);
  expect(messageIds).toHaveLength(1);
  if (message.id !== undefined) expect(messageIds[0]).toBe(message.id);
  message.id = messageIds[0] ?? '';
  expect(stored, `${event.type} of ${name}`).toBe(message.destroyed || isDuplicate ? 0 : 1);
  model.last = whole;
  if (stored === 0) return;
  model.size += 1;
  message.records += 1;
  apply(message);
}

const textOf = (model: Model): string => `common w${model.counter + 1}x`;

function create(name: string, inbound: boolean, withMedia: boolean): Command {
  return command(`create ${name} ${inbound ? 'in' : 'out'}${withMedia ? ' with media' : ''}`, (model, product) => {
    const text = textOf(model);
    const [from, to] = inbound ? ['+14155550100', '+14155550101'] : ['+14155550101', '+14155550100'];
    const media = withMedia
      ? { media: [{ base64: Buffer.from(`bytes of ${text}`).toString('base64'), mimeType: 'text/plain' }] }
      : {};
    const direction = inbound ? 'inbound' : 'outbound';
    const data = { channel: 'sms', direction, from, to: [to], text, ...media };
    return send(model, product, name, { type: 'message.created', data }, BEGUN_MS, (message) => {
      message.created = { atMs: BEGUN_MS, knownAtMs: product.clock.ms, text };
      message.media = withMedia;
    });
  });
}

function edit(name: string, late: boolean): Command {
  return command(`edit ${name}${late ? ' late' : ''}`, (model, product) => {
    const text = textOf(model);
    // A late one happened before all others that are not late.
    const atMs = late ? BEGUN_MS + 1 + model.counter : product.clock.ms;
    return send(model, product, name, { type: 'message.edited', data: { text } }, atMs, (message) => {
      message.edits.push({ atMs, knownAtMs: product.clock.ms, text });
    });
  });
}

function remove(name: string): Command {
  return command(`delete ${name}`, (model, product) =>
    send(model, product, name, { type: 'message.deleted', data: {} }, product.clock.ms, (message) => {
      message.deletedMs ??= product.clock.ms;
    }),
  );
}

function report(name: string, state: string): Command {
  return command(`status ${name} ${state}`, (model, product) =>
    send(model, product, name, { type: 'message.status', data: { state } }, product.clock.ms, (message) => {
      message.states.push(state);
    }),
  );
}

function react(name: string): Command {
  return command(`react ${name}`, (model, product) => {
    const emoji = `👍${model.counter}`;
    const data = { emoji, by: '+14155550100' };
    return send(model, product, name, { type: 'reaction.added', data }, product.clock.ms, (message) => {
      message.reactions.push(emoji);
    });
  });
}

const repeat = command('repeat', async (model, product) => {
  if (model.last === undefined) return;
  expect(await product.send(model.last)).toMatchObject({ stored: 0 });
});

async function find(model: Model, product: Product, q: string): Promise<string[]> {
  const { archive } = product.service;
  await archive.reachIndex();
  await archive.threads.read.call('refresh', undefined);
  model.size += 1;
  return (await archive.search(LOCAL_CALLER, { q, limit: 200 })).items.map(({ id }) => id).sort();
}

const FILTERS: Readonly<Record<string, (message: ModelMessage) => boolean>> = {
  common: () => true,
  'has:edit': ({ edits }) => edits.length > 0,
  'has:deletion': ({ deletedMs }) => deletedMs !== undefined,
  'has:reaction': ({ reactions }) => reactions.length > 0,
  '-has:deletion': ({ deletedMs }) => deletedMs === undefined,
};

async function expectFound(
  model: Model,
  product: Product,
  q: string,
  fits: (message: ModelMessage) => boolean,
): Promise<void> {
  const expected = [...model.messages.values()].filter((message) => isFound(message) && fits(message));
  expect(await find(model, product, q), q).toEqual(expected.map(({ id = '' }) => id).sort());
}

function search(q: string): Command {
  return command(`search ${q}`, (model, product) => expectFound(model, product, q, FILTERS[q] ?? (() => false)));
}

async function expectShown(model: Model, product: Product, message: ModelMessage, atMs?: number): Promise<void> {
  if (message.id === undefined) return;
  const opened = product.service.archive.openMessage(LOCAL_CALLER, parseId('message', message.id), atMs);
  model.size += 1;
  const knownAtMs = atMs ?? Number.POSITIVE_INFINITY;
  const neverKnown = message.records === 0 || message.firstKnownMs > knownAtMs;
  if (message.destroyed || neverKnown) {
    const thrown: unknown = await opened.catch((cause: unknown) => cause);
    const code = thrown instanceof CartularyError ? thrown.code : 'opened';
    expect(code).toBe(message.destroyed ? 'key-destroyed' : 'not-found');
    return;
  }
  const shown = await opened;
  expect(shown.text).toBe(textAt(message, knownAtMs));
  if (atMs !== undefined) return;
  expect(shown.deleted).toBe(message.deletedMs !== undefined);
  expect(shown.reports.map(({ state }) => state).sort()).toEqual([...message.states].sort());
  expect(shown.reactions.map(({ emoji }) => emoji).sort()).toEqual([...message.reactions].sort());
  expect(shown.history).toHaveLength(message.records);
}

function show(name: string, secondsAgo: number): Command {
  return command(`show ${name} ${secondsAgo} s ago`, async (model, product) => {
    const message = model.messages.get(name);
    if (message === undefined) return;
    await expectShown(model, product, message, secondsAgo === 0 ? undefined : product.clock.ms - secondsAgo * 1_000);
  });
}

const exportAll = command('export', async (model, product) => {
  const found = [...model.messages.values()].filter(isFound);
  const report = await product.export('common');
  // That it begins, and that it is done.
  model.size += 2;
  expect(report).toMatchObject({ ok: true, faults: [] });
  expect(report.messages).toBe(found.length);
  expect(report.records).toBe(found.reduce((sum, { records }) => sum + records, 0));
});

function destroy(name: string): Command {
  return command(`destroy ${name}`, async (model, product) => {
    const message = model.messages.get(name);
    if (message?.id === undefined) return;
    const act = product.service.archive.destroyMessage(LOCAL_CALLER, parseId('message', message.id), 'a-test');
    model.size += 1;
    if (message.destroyed) return expect(act).rejects.toMatchObject({ code: 'key-destroyed' });
    await act;
    model.size += 1;
    message.destroyed = true;
  });
}

const rebuild = command('rebuild the index', async (model, product) => {
  await product.service.archive.rebuild(LOCAL_CALLER);
  model.size += 1;
});
const restart = command('restart', (_model, product) => product.restart());
const rotateRoot = command('rotate the root key', (_model, product) => product.rotate('root'));
const rotateArchive = command('rotate the archive key', (_model, product) => product.rotate('archive'));
const reprocess = command('reprocess', async (_model, product) => {
  expect(await reprocessQuarantine(product.service.receive, () => undefined)).toMatchObject({ envelopes: 0 });
});

const move = command('back up and restore', async (model, product) => {
  await product.move();
  // What the restore itself puts on record is its own affair; nothing that was there is gone.
  const size = await product.service.archive.size();
  expect(size).toBeGreaterThanOrEqual(model.size);
  model.size = size;
});

const work = command('work', async (model, product) => {
  await product.work();
  for (const message of model.messages.values()) {
    if (!message.media || message.destroyed) continue;
    message.media = false;
    message.records += 1;
    model.size += 1;
  }
});

/** Everything that may happen, over a few messages so that things happen to the same ones. */
export function commandArbitraries(): fc.Arbitrary<Command>[] {
  const name = fc.constantFrom('m1', 'm2', 'm3', 'm4', 'm5');
  return [
    fc.tuple(name, fc.boolean(), fc.boolean()).map((args) => create(...args)),
    fc.tuple(name, fc.boolean(), fc.boolean()).map((args) => create(...args)),
    fc.tuple(name, fc.boolean()).map((args) => edit(...args)),
    name.map(remove),
    fc.tuple(name, fc.constantFrom('sent', 'delivered', 'failed', 'read')).map((args) => report(...args)),
    name.map(react),
    fc.constant(repeat),
    fc.constantFrom(...Object.keys(FILTERS)).map(search),
    fc.tuple(name, fc.nat(20)).map((args) => show(...args)),
    fc.constant(exportAll),
    name.map(destroy),
    fc.constantFrom(rebuild, restart, rotateRoot, rotateArchive, reprocess, move),
    fc.constant(work),
  ];
}

/** What must hold after every sequence: each message is found once, what was destroyed is gone, the log is sound and as large as it must be. */
export async function expectSound(model: Model, product: Product): Promise<void> {
  await expectFound(model, product, 'common', () => true);
  for (const message of model.messages.values()) {
    await expectShown(model, product, message);
    for (const { text } of textsOf(message)) {
      await expectFound(model, product, text.split(' ')[1] ?? '', (other) => other === message);
    }
  }
  const { archive } = product.service;
  expect(await archive.size(), 'the size of the log').toBe(model.size);
  expect(await archive.compareIndex()).toMatchObject({ ok: true, missingCount: 0, extraCount: 0 });
  expect(await archive.verify(LOCAL_CALLER, {})).toMatchObject({ ok: true, faults: [], size: model.size });
}

/** What every sequence ends with, so that each short run has it: seldom are these among a few commands. */
export const ENDING: readonly Command[] = [rebuild, rotateRoot, rotateArchive, move, restart];
