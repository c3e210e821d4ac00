/**
 * Reading again: quarantined envelopes after a connector was mended, and refused ones after a secret was corrected. What was kept already is recognised and not kept twice.
 */
import type { Source } from '../archive/registry.ts';
import type { SourceId } from '../model/ids.ts';
import { restoreEnvelope } from './raw-slice.ts';
import { getConnector, receiveEnvelope, takeEnvelope, viewSource } from './receive.ts';
import type { ReceiveParts } from './receive.ts';

/** What reading again gave. */
export type Reprocessed = {
  readonly envelopes: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly stillUnreadable: number;
};

/** Reads every quarantined envelope again with the connectors of this version. */
export async function reprocessQuarantine(
  parts: ReceiveParts,
  onProgress: (done: number, total: number) => void,
): Promise<Reprocessed> {
  const result = { envelopes: 0, stored: 0, duplicates: 0, stillUnreadable: 0 };
  const total = await parts.archive.size();
  let from: number | undefined = 0;
  while (from !== undefined) {
    const page: {
      records: {
        seq: number;
        record: { raw?: Parameters<typeof restoreEnvelope>[0]; source?: SourceId; capturedAt: { ms: number } };
      }[];
      next: number | undefined;
    } = await parts.archive.threads.read.call('quarantine', { from });
    for (const { record } of page.records) {
      const source = record.source === undefined ? undefined : parts.archive.registry.findSource(record.source);
      if (record.raw === undefined || source === undefined) continue;
      result.envelopes += 1;
      const envelope = restoreEnvelope(record.raw, record.capturedAt.ms);
      if (!canRead(source, envelope)) {
        result.stillUnreadable += 1;
        continue;
      }
      const taken = await takeEnvelope(parts, source, getConnector(source), envelope, record.raw.verdict);
      result.stored += taken.stored;
      result.duplicates += taken.duplicates;
    }
    from = page.next;
    onProgress(from ?? total, total);
  }
  return result;
}

/** Takes out of the ring what the source's secrets of today sign. */
export async function releaseRing(parts: ReceiveParts, source: Source): Promise<{ released: number; kept: number }> {
  return parts.ring.release(source.id, async (envelope) => {
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
  });
}

function canRead(source: Source, envelope: ReturnType<typeof restoreEnvelope>): boolean {
  try {
    const connector = getConnector(source);
    return connector.read(envelope, viewSource(source, connector)).some((part) => part.events.length > 0);
  } catch {
    return false;
  }
}
