/** Records of the archive's own: audit, settings, destructions. */
import type { EventBody } from '../model/event.ts';
import { receiptInstant } from '../model/time.ts';
import type { SettingChange } from '../store/store.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { RecordActor, RecordDraft } from './recorder.ts';

/** What such a record may have besides. `id`: of what it is about, drawn where it is missing; `dedupe`: what may be said once. */
export type SystemDraftOptions = {
  readonly settings?: readonly SettingChange[];
  readonly extra?: Record<string, unknown>;
  readonly id?: string;
  readonly dedupe?: string;
};

/** A record of the archive's own. */
export function systemDraft(
  parts: Pick<ArchiveParts, 'id' | 'now' | 'random'>,
  actor: RecordActor,
  body: EventBody,
  { settings = [], extra, id, dedupe }: SystemDraftOptions = {},
): RecordDraft {
  const nowMs = parts.now();
  return {
    actor,
    capturedAtMs: nowMs,
    settings,
    event: {
      target: {
        platform: 'cartulary',
        account: parts.id,
        id: id ?? `${body.kind}:${Buffer.from(parts.random.take(16)).toString('hex')}`,
      },
      occurredAt: receiptInstant(nowMs),
      ...(extra === undefined ? {} : { extra }),
      ...(dedupe === undefined ? {} : { dedupe }),
      ...body,
    },
  };
}
