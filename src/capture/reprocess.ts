/**
 * Reading again: quarantined envelopes after a connector was mended, and refused ones after a secret was corrected. What was kept already is recognised and not kept twice.
 */
import type { Source } from '../archive/registry.ts';
import type { Envelope } from '../model/envelope.ts';
import type { ArchiveRecord, LoggedRecord, RawSlice } from '../model/record.ts';
import type { Connector } from './connector.ts';
import { restoreEnvelope } from './raw-slice.ts';
import { readByName, receiveEnvelope, takeEnvelope } from './receive.ts';
import type { ReceiveParts } from './receive.ts';
import { verifySignature } from './signatures.ts';
import { getConnector, viewSource } from './source-view.ts';
import { DOUBTED } from './spooled.ts';

/** What reading again gave. */
export type Reprocessed = {
  readonly envelopes: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly stillUnreadable: number;
};

/** Reads every quarantined envelope again with the connectors of this version; others are handed in by tests. */
export async function reprocessQuarantine(
  parts: ReceiveParts,
  onProgress: (done: number, total: number) => void,
  connectorOf: (source: Source) => Connector = getConnector,
): Promise<Reprocessed> {
  const result = { envelopes: 0, stored: 0, duplicates: 0, stillUnreadable: 0 };
  const total = await parts.archive.size();
  let from: number | undefined = 0;
  while (from !== undefined) {
    const page: { records: LoggedRecord[]; next: number | undefined } = await parts.archive.threads.read.call(
      'quarantine',
      { from },
    );
    for (const { record } of page.records) {
      const source = record.source === undefined ? undefined : parts.archive.registry.findSource(record.source);
      if (record.raw === undefined || source === undefined) continue;
      result.envelopes += 1;
      const envelope = restoreEnvelope(record.raw, record.capturedAt.ms);
      if (!isBelieved(record, source, envelope) || !canRead(connectorOf(source), source, envelope)) {
        result.stillUnreadable += 1;
        continue;
      }
      const connector = readAgain(connectorOf(source), record.record, record.raw);
      const taken = await takeEnvelope(parts, source, connector, envelope, record.raw.verdict, {
        findings: record.raw.guarded,
      });
      result.stored += taken.stored;
      result.duplicates += taken.duplicates;
    }
    from = page.next;
    onProgress(from ?? total, total);
  }
  return result;
}

/** The connector as it reads what was kept before: a slice stays a slice, and what has no name is told by the record that it is read from. */
function readAgain(connector: Connector, record: string, raw: RawSlice): Connector {
  const named = readByName(connector, `again|${record}`);
  if (raw.cut !== true) return named;
  return {
    ...named,
    read: (envelope, source) =>
      named.read(envelope, source).map((part) => ({ ...part, body: part.body ?? envelope.body })),
  };
}

/**
 * Takes out of the ring what the source's secrets of today sign. A wrong public URL makes signatures fail like a wrong secret does, so what
 * arrived is also tried under the URL of today.
 */
export async function releaseRing(
  parts: ReceiveParts,
  source: Source,
  publicUrl: string,
): Promise<{ released: number; kept: number }> {
  return parts.ring.release(source.id, async (envelope) => {
    for (const url of new Set([envelope.url, rebase(envelope.url, source, publicUrl)]))
      if (await isTaken(parts, source, { ...envelope, url })) return true;
    return false;
  });
}

function rebase(url: string, source: Source, publicUrl: string): string {
  const at = url.indexOf(`/hooks/${source.id}`);
  return at < 0 ? url : publicUrl + url.slice(at);
}

async function isTaken(parts: ReceiveParts, source: Source, envelope: Envelope): Promise<boolean> {
  try {
    // A time stamp is judged by when the envelope arrived, not by when the secret was corrected.
    const quiet: ReceiveParts = {
      ...parts,
      now: () => envelope.receivedAtMs,
      onBadSignature: () => undefined,
      ring: { ...parts.ring, put: async () => 'counted' },
    };
    await receiveEnvelope(quiet, source, envelope);
    return true;
  } catch {
    return false;
  }
}

/** What is doubted is released by a valid signature and by nothing else. */
function isBelieved({ event }: ArchiveRecord, source: Source, envelope: Envelope): boolean {
  if (event.kind !== 'quarantine' || event.reason !== DOUBTED) return true;
  return verifySignature(getConnector(source).signature, envelope, source.secrets, envelope.receivedAtMs).ok;
}

function canRead(connector: Connector, source: Source, envelope: Envelope): boolean {
  try {
    return connector.read(envelope, viewSource(source, connector)).some((part) => part.events.length > 0);
  } catch {
    return false;
  }
}
