/** Work of an archive that waits: claimed with its payload opened, finished, or put off. */
import { formatId } from '../model/ids.ts';
import type { MessageId } from '../model/ids.ts';
import type { JobRow } from '../store/store.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { MediaOwner } from './media.ts';
import { openJobPayload } from './opening.ts';

/** A job with its payload opened. */
export type OpenJob = JobRow & {
  readonly owner: MediaOwner;
  readonly detail: Record<string, unknown>;
  readonly messageId: MessageId;
};

/** Milliseconds until a job that cannot be opened is looked at again. */
const DAMAGED_JOB_MS = 86_400_000;

/** What is done with jobs through the door of an archive. */
export function jobs(parts: ArchiveParts) {
  return {
    /** Claims due jobs with their payloads opened; those of destroyed messages are dropped. */
    async claimJobs(kinds: readonly string[], limit: number, leaseMs: number): Promise<OpenJob[]> {
      const open: OpenJob[] = [];
      for (const row of await parts.writer.claimJobs(kinds, limit, parts.now(), leaseMs)) {
        const [message] = await parts.reader.readMessages([row.messageNo]);
        if (message?.secret === undefined) {
          await parts.writer.finishJob(row.id);
          continue;
        }
        const owner = { messageId: message.messageId, secret: message.secret };
        try {
          const detail = openJobPayload(parts.sealer, owner, row.payload);
          open.push({ ...row, owner, messageId: formatId('message', message.messageId), detail });
        } catch {
          // Damage to one does not hold up the others; it is counted as waiting, and `verify` looks for damage.
          await parts.writer.retryJob(row.id, parts.now() + DAMAGED_JOB_MS);
        }
      }
      return open;
    },
    finishJob: (id: number): Promise<void> => parts.writer.finishJob(id),
    retryJob: (id: number, dueAtMs: number): Promise<void> => parts.writer.retryJob(id, dueAtMs),
    countJobs: () => parts.reader.countJobs(),
    /** Positions of pollers; no record, since they can be found again. */
    async readPosition(name: string): Promise<string | undefined> {
      const value = await parts.reader.readSetting(`position/${name}`);
      return value === undefined ? undefined : Buffer.from(value).toString('utf8');
    },
    writePosition: (name: string, value: string): Promise<void> =>
      parts.writer.putSettings([{ name: `position/${name}`, value: Buffer.from(value, 'utf8') }]),
  };
}
