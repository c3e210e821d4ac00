/** One visit to a relay: it is given what guarding takes, and what it has taken in is fetched, filed and settled, file by file. */
import { request } from 'undici';

import type { Relay } from '../archive/registry.ts';
import { CartularyError } from '../model/errors.ts';
import { sha256 } from '../vault/hash.ts';
import { isSameKeyring, makeEdgeKeyring, parseEdgeKey, sealEdgeKeyring } from './edge-keyring.ts';
import type { KnownRelay, RelaysParts } from './known-relay.ts';
import { LIMITS } from './limits.ts';
import { receiveEnvelope } from './receive.ts';
import { ANSWER_HEADER, isAnswerTo, signRequest } from './relay-auth.ts';
import { parseRelayState, RELAY_FILES_MAX } from './relay-desk.ts';
import type { RelaySpool, RelayState } from './relay-desk.ts';
import { fileFrames } from './spool.ts';
import type { SpooledEnvelope } from './spool.ts';
import { FRAME_BYTES_MAX, spoolKeysOf } from './spool-file.ts';
import { fileSpooled } from './spooled.ts';

const ANSWER_MS_MAX = 20_000;
/** Rounds of one visit: as many files as a relay that was alone for a day has. */
const ROUNDS_MAX = 2000;
/** A file ends with the frame that made it as large as a file may be. */
const ANSWER_BYTES_MAX = LIMITS.spoolFileBytesMax + FRAME_BYTES_MAX + 1024;
/** Under which a relay answers its archive. */
export const RELAY_PATH = '/relay/v1';

/**
 * Visits a relay.
 * @param known what is known of it, which is brought up to date
 * @throws CartularyError `overloaded` where it cannot be reached, `unauthenticated` where somebody else answers; what kept something from being filed, once every file was tried
 */
export async function visitRelay(parts: RelaysParts, relay: Relay, known: KnownRelay): Promise<void> {
  const ask = createAsking(relay, parts);
  for (let round = 0; round < ROUNDS_MAX && !parts.signal.aborted; round += 1) {
    const state = parseRelayState(await ask('GET', '/state'));
    known.heardMs = parts.now();
    known.version = state.version;
    const { oldestMs, ...counts } = state.spool;
    known.spool = { ...counts, oldestMs: oldestMs ?? undefined };
    await giveKeyring(parts, relay, { known, state, ask });
    await fetchFiles(parts, relay, state.files, ask);
    // The rest comes with the next visit, unless there is more than a visit is told of.
    if (state.files.length < RELAY_FILES_MAX) return;
  }
}

async function fetchFiles(
  { signal, ...parts }: RelaysParts,
  relay: Relay,
  files: RelayState['files'],
  ask: Asking,
): Promise<void> {
  const keys = spoolKeysOf(parts.archive.spool, relay.id);
  const failed: unknown[] = [];
  for (const { spool, name } of files) {
    if (signal.aborted) return;
    try {
      const path = `/files/${spool}/${encodeURIComponent(name)}`;
      const file = await ask('GET', path);
      const { outcome } = await fileFrames(keys, file, takerOf(parts, spool));
      const hash = Buffer.from(sha256(file)).toString('hex');
      await ask('POST', `${path}/settled`, Buffer.from(JSON.stringify({ hash, outcome })));
    } catch (cause) {
      failed.push(cause);
      if (cause instanceof CartularyError && cause.code === 'database-away') break;
    }
  }
  if (failed.length > 0) throw failed.at(-1);
}

type Asking = (method: 'GET' | 'PUT' | 'POST', path: string, body?: Uint8Array) => Promise<Uint8Array>;

/** Gives a relay another keyring where its own is not the one that it should have. */
async function giveKeyring(
  { archive, now }: RelaysParts,
  relay: Relay,
  { known, state, ask }: { readonly known: KnownRelay; readonly state: RelayState; readonly ask: Asking },
): Promise<void> {
  // A clock that was set back must not keep a relay from what is new.
  const made = makeEdgeKeyring(archive, relay.id, Math.max(now(), (state.madeAtMs ?? 0) + 1));
  if (known.given?.madeAtMs === state.madeAtMs && isSameKeyring(known.given, made)) return;
  await ask('PUT', '/keyring', sealEdgeKeyring(made, parseEdgeKey(relay.key)));
  known.given = made;
}

/** What is done with each envelope of a spool of a relay. */
function takerOf(
  { archive, ring, log }: Omit<RelaysParts, 'signal'>,
  spool: RelaySpool,
): (one: SpooledEnvelope) => Promise<unknown> {
  if (spool === 'spool') return (one) => fileSpooled(archive, one);
  return async ({ source: id, envelope }) => {
    const source = archive.registry.findSource(id);
    if (source === undefined) return;
    const onBadSignature = (_source: unknown, reason: string): void =>
      log.warn({ source: id, reason }, 'bad signature: refused by a relay, and kept in the ring');
    // A time stamp is judged by when the envelope arrived; what fits after all is taken in.
    await receiveEnvelope({ archive, ring, now: () => envelope.receivedAtMs, onBadSignature }, source, envelope).catch(
      (cause: unknown) => {
        if (!(cause instanceof CartularyError && cause.code === 'bad-signature')) throw cause;
      },
    );
  };
}

/** How a relay is asked: what it answers is believed where it has the key. */
function createAsking({ url, key: text }: Relay, { now, signal }: RelaysParts): Asking {
  const key = parseEdgeKey(text);
  const base = new URL(url);
  return async (method, path, body = new Uint8Array(0)) => {
    const target = `${base.pathname.replace(/\/$/, '')}${RELAY_PATH}${path}`;
    // A proxy may have put something before it: the relay knows only its own path.
    const { authorization, nonce } = signRequest(key, { method, path: RELAY_PATH + path, body }, now());
    const answer = await request(new URL(target, base), {
      method,
      headers: { authorization, 'content-type': 'application/octet-stream' },
      body: method === 'GET' ? null : Buffer.from(body),
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
      signal,
    }).catch((cause: unknown) => {
      throw new CartularyError('overloaded', 'the relay cannot be reached', { cause });
    });
    const bytes = await readLimited(answer.body);
    const mac = answer.headers[ANSWER_HEADER];
    if (answer.statusCode === 401)
      throw new CartularyError('unauthenticated', 'the relay has another edge key, or its clock differs by minutes');
    if (typeof mac !== 'string' || !isAnswerTo(key, nonce, bytes, mac))
      throw new CartularyError(
        'unauthenticated',
        answer.statusCode < 400
          ? 'somebody else than the relay answers'
          : `the relay, or what stands before it, answers ${answer.statusCode}`,
      );
    return bytes;
  };
}

async function readLimited(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new CartularyError('overloaded', 'the relay was cut off while it answered', { cause });
  }
  if (bytes > ANSWER_BYTES_MAX)
    throw new CartularyError('too-large', `a relay answers ${ANSWER_BYTES_MAX} bytes at most`);
  return Buffer.concat(chunks);
}
