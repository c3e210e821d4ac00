/** Brings in messages with media, a file at a time, each again until it is acknowledged, whatever is done to S3 meanwhile; counts them, so that all can be looked for in the end. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { runCli } from '../support/cli.ts';

/** Media of a file, bytes of each before they are Base64, and milliseconds between two files. */
const MEDIA = 3;
const MEDIUM_BYTES = 4096;
const EVERY_MS = 500;
/** Tries of one file until it must be acknowledged; they end when nobody spoils anything any more. */
const TRIES_MAX = 200;

export type MediaFeeder = {
  readonly counts: { acknowledged: number; refused: number };
  /** Ends it, once what it has begun is acknowledged. */
  stop(): Promise<void>;
};

/** Starts it. @param data directory of a node, running or of its own @param directory for its files */
export function startMediaFeeder(data: string, env: Record<string, string>, directory: string): MediaFeeder {
  const counts = { acknowledged: 0, refused: 0 };
  const life = { isOver: false };
  const feed = async (): Promise<void> => {
    for (let file = 0; !life.isOver; file += 1) {
      const path = join(directory, 'media.jsonl');
      await writeFile(path, makeLines(file));
      for (let tries = 1; ; tries += 1) {
        const { code, stderr } = await runCli(['import', 'jsonl', path, '--data', data], env);
        if (code === 0) break;
        counts.refused += 1;
        if (tries === TRIES_MAX) throw new Error(`media cannot be brought in: ${stderr.slice(-500)}`);
        await pause(EVERY_MS);
      }
      counts.acknowledged += MEDIA;
      await pause(EVERY_MS);
    }
  };
  const feeding = feed();
  // Whoever stops it is told.
  feeding.catch(() => undefined);
  return {
    counts,
    async stop() {
      life.isOver = true;
      await feeding;
    },
  };
}

function makeLines(file: number): string {
  return Array.from({ length: MEDIA }, (_none, at) => {
    const word = createHash('sha256').update(`${file} ${at}`).digest('base64');
    const bytes = Buffer.from(word.repeat(Math.ceil(MEDIUM_BYTES / word.length)));
    const [id, media] = [`media-${file}-${at}`, [{ base64: bytes.toString('base64'), mimeType: 'text/plain' }]];
    const parties = { direction: 'inbound', from: { address: 'customer' }, to: [{ address: 'shop' }] };
    const data = { id, channel: 'chat', ...parties, text: 'with a picture', media };
    return JSON.stringify({ type: 'message.created', timestamp: '2026-11-22T10:00:00Z', data });
  }).join('\n');
}
