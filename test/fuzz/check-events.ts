/** What must hold of every event that a connector or an importer gives, whoever wrote the bytes it was read from. */
import { firstIndexDocument, toIndexDocument } from '../../src/archive/index-document.ts';
import type { Event } from '../../src/model/event.ts';
import { foldMessage } from '../../src/model/fold.ts';
import { formatId } from '../../src/model/ids.ts';
import { formatRecord, parseRecord, parseRecordHead, parseRecordLabel } from '../../src/model/record.ts';
import type { ArchiveRecord } from '../../src/model/record.ts';
import { must, mustEqual } from './target.ts';

const HEAD = {
  v: 1,
  archive: formatId('archive', Buffer.alloc(16, 1)),
  record: formatId('record', Buffer.alloc(16, 3)),
  message: formatId('message', Buffer.alloc(16, 2)),
  capturedAt: { ms: 1_795_305_600_000, precision: 'ms', zone: 'utc', origin: 'receipt' },
} as const;

/** Events must be such as can be kept, read again, folded and shown to the index. */
export function checkEvents(events: readonly Event[]): void {
  const logged = events.map((event, seq) => {
    const record: ArchiveRecord = { ...HEAD, event, raw: { transport: 'webhook', body: 'b', encoding: 'utf8' } };
    const bytes = formatRecord(record);
    const again = parseRecord(bytes);
    mustEqual(again.event, event, 'an event is kept as another');
    mustEqual(parseRecordHead(bytes).event, event, 'the head of a record says otherwise');
    must(parseRecordLabel(bytes).kind === event.kind, 'the label of a record says otherwise');
    return { seq, record: again };
  });
  if (logged.length > 0) foldMessage(logged);
  for (const one of logged) {
    const message = foldMessage([one]);
    const whole = message === undefined ? undefined : toIndexDocument(1, message);
    mustEqual(firstIndexDocument(1, one.seq, one.record), whole, 'the index is told otherwise at once than later');
  }
}
