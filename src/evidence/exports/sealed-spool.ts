/**
 * A temporary file that nobody can read: encrypted under a key that lives in memory only and dies with the spool, and without a name from
 * the moment it is open. For what a format needs later than it is known.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { releaseBuffer } from '../../store/growing-buffer.ts';

/** Bytes that are gathered before they are written. */
const BLOCK_BYTES = 64 * 1024;

export type SealedSpool = {
  readonly write: (text: string) => Promise<void>;
  /** Ends the writing and gives everything back, once. */
  readonly read: () => AsyncIterable<Uint8Array>;
  readonly close: () => Promise<void>;
};

/** Opens a spool in a directory that exists. */
export async function openSealedSpool(directory: string): Promise<SealedSpool> {
  const path = join(directory, `spool-${randomBytes(16).toString('hex')}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  // Counter mode without a tag is enough here: whoever can write to a file without a name can write to our memory as well.
  const key = randomBytes(32);
  const nonce = Buffer.alloc(16);
  const cipher = createCipheriv('aes-256-ctr', key, nonce);
  let gathered: string[] = [];
  let gatheredChars = 0;
  let bytesWritten = 0;
  const flush = async (): Promise<void> => {
    const sealed = cipher.update(gathered.join(''), 'utf8');
    gathered = [];
    gatheredChars = 0;
    for (let at = 0; at < sealed.length;) {
      const written = await file.write(sealed, at, sealed.length - at, bytesWritten);
      at += written.bytesWritten;
      bytesWritten += written.bytesWritten;
    }
    // Node's pool is shared; what is larger has a buffer of its own.
    if (sealed.buffer.byteLength === sealed.length) releaseBuffer(sealed.buffer as ArrayBuffer);
  };
  return {
    async write(text) {
      gathered.push(text);
      gatheredChars += text.length;
      if (gatheredChars >= BLOCK_BYTES) await flush();
    },
    async *read() {
      await flush();
      const decipher = createDecipheriv('aes-256-ctr', key, nonce);
      const block = Buffer.alloc(BLOCK_BYTES);
      for (let position = 0; position < bytesWritten;) {
        const { bytesRead } = await file.read(block, 0, Math.min(BLOCK_BYTES, bytesWritten - position), position);
        if (bytesRead === 0) throw new Error('the spool is shorter than what was written');
        position += bytesRead;
        yield decipher.update(block.subarray(0, bytesRead));
      }
    },
    async close() {
      key.fill(0);
      await file.close();
    },
  };
}
