/**
 * The way in as hooks see it: whose an envelope is, and where it is kept. The same whether the archive is open or not; while it is not, this stands on the edge keyring and the spool alone.
 */
import { randomBytes } from 'node:crypto';

import type { Logger } from 'pino';

import type { Source } from '../archive/registry.ts';
import type { ArchiveLayout } from '../archive/layout.ts';
import type { EdgeKeyring } from '../capture/edge-keyring.ts';
import { createInlineGaps } from '../capture/inline-gaps.ts';
import type { InlineGaps } from '../capture/inline-gaps.ts';
import { createKeeping } from '../capture/keeping.ts';
import type { Keeping } from '../capture/keeping.ts';
import type { VerifyParts } from '../capture/receive.ts';
import { openRing } from '../capture/ring.ts';
import { openSpool } from '../capture/spool.ts';
import type { Spool, SpoolState } from '../capture/spool.ts';
import type { CartularyError } from '../model/errors.ts';
import type { SourceId } from '../model/ids.ts';
import type { Settings } from '../settings.ts';
import { createAdmission } from './admission.ts';
import type { Admission } from './admission.ts';

/** What hooks are given. */
export type Edge = {
  readonly settings: Settings;
  readonly log: Logger;
  readonly now: () => number;
  readonly findSource: (id: SourceId) => Source | undefined;
  /** Why sources and secrets may be others than are known here; undefined where they are those of now. */
  readonly whyUnsure: () => CartularyError | undefined;
  readonly receive: VerifyParts;
  readonly keeping: Keeping;
  /** Where something can wait. */
  readonly spool: Spool | undefined;
  readonly admission: Admission;
  readonly inlineGaps: InlineGaps;
  /** Base of the URLs given to platforms. */
  readonly publicUrl: () => string;
  /** What only this archive can answer, or one of its relays. @throws CartularyError where the archive cannot be opened */
  readonly answerChallenge: (text: string) => string;
};

/** What an edge that has no archive is made of. */
export type ClosedParts = {
  readonly settings: Settings;
  readonly log: Logger;
  readonly now: () => number;
  readonly place: ArchiveLayout;
  /** As it is now: a relay is given another where a source changes. */
  readonly keyring: () => EdgeKeyring;
  readonly whyUnsure: () => CartularyError | undefined;
  readonly answerChallenge: (text: string) => string;
  /** Puts gaps of inline sources on record, once that can be done. */
  readonly recordGaps: Parameters<typeof createInlineGaps>[0]['record'];
  /** What is done with an envelope of bad signature; the ring of the archive, which its keys open later, where nothing is said. */
  readonly ring?: VerifyParts['ring'];
  readonly signal: AbortSignal;
  readonly onFatal: (cause: unknown) => void;
};

/** The way in without an archive: what is signed goes into the spool. */
export async function openClosedEdge(parts: ClosedParts): Promise<Edge & { readonly spool: Spool }> {
  const { settings, log, now, place, keyring, whyUnsure, signal, onFatal } = parts;
  const { spool: sealing } = keyring();
  const spool = await openSpool(place.spool, sealing);
  // It only puts there, which takes the public key.
  const ring = openRing(place.ring, { publicKey: sealing.publicKey, privateKey: new Uint8Array(0) }, randomBytes);
  return {
    ...{ settings, log, now, spool, whyUnsure },
    findSource: (id) => keyring().sources.find((source) => source.id === id),
    receive: { ring: parts.ring ?? ring, now, whyUnsure, onBadSignature: createAlarm(log, now) },
    keeping: createKeeping({ archive: undefined, spool, onSpooling: () => undefined, onFatal }),
    admission: createLoggedAdmission(log),
    inlineGaps: createInlineGaps({ record: parts.recordGaps }, now, signal),
    publicUrl: () => publicUrlOf(settings),
    answerChallenge: parts.answerChallenge,
  };
}

/** Admission whose refusals are told in the log. */
export function createLoggedAdmission(log: Logger): Admission {
  return createAdmission({
    now: () => performance.now(),
    onRefused: (why, count) => log.warn({ why, count }, 'asked to come again: they were not acknowledged'),
  });
}

/** Base of the URLs given to platforms: as it was set, else that of the listener. */
export function publicUrlOf(settings: Settings): string {
  if (settings.publicUrl !== undefined) return settings.publicUrl;
  const { host, port } = settings.hooksListen ?? settings.listen;
  const name = host.includes(':') ? `[${host}]` : host;
  return `${settings.tlsCert === undefined ? 'http' : 'https'}://${name}:${port}`;
}

/** What waits, as `/readyz` shows it. */
export function describeSpool({ envelopes, bytes, bytesMax, oldestMs, damaged }: SpoolState) {
  const oldestAt = oldestMs === undefined ? null : new Date(oldestMs).toISOString();
  return { envelopes, bytes, bytesMax, oldestAt, damaged };
}

/** A wrong secret must be seen at once, but a flood must not fill the log: one line a minute and source, with the count. */
export function createAlarm(log: Logger, now: () => number): (source: Source, reason: string) => void {
  const last = new Map<string, { atMs: number; count: number }>();
  return (source, reason) => {
    const known = last.get(source.id) ?? { atMs: Number.NEGATIVE_INFINITY, count: 0 };
    known.count += 1;
    if (now() - known.atMs >= 60_000) {
      log.warn(
        { source: source.id, reason, count: known.count },
        'bad signature: refused, and kept in the ring. Is the secret of this source right?',
      );
      known.atMs = now();
      known.count = 0;
    }
    last.set(source.id, known);
  };
}
