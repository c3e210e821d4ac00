/** The import formats. */
import { readStandardEvents, STANDARD_WEBHOOKS } from '../connectors/standard-webhooks.ts';
import type { Importer } from './importer.ts';
import { createJsonlImporter } from './jsonl.ts';
import type { EventLineParser } from './jsonl.ts';
import { smsBackupImporter } from './sms-backup.ts';

/** A line as the body of a webhook. Its time of receipt is never used: the schema refuses an event without a time of its own. */
const parseEventLine: EventLineParser = (line, { account, region }) => {
  const envelope = { transport: 'import', method: 'PUT', url: '', headers: [], body: line, receivedAtMs: 0 } as const;
  const source = {
    platform: STANDARD_WEBHOOKS.platform,
    ...(account === undefined ? {} : { account }),
    ...(region === undefined ? {} : { region }),
    settings: {},
  };
  return readStandardEvents(envelope, source).flatMap(({ events }) => events);
};

export const IMPORTERS: readonly Importer[] = [smsBackupImporter, createJsonlImporter(parseEventLine)];

/** The importer of a name. */
export function findImporter(name: string): Importer | undefined {
  return IMPORTERS.find((importer) => importer.name === name);
}
