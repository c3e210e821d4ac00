/** How an envelope lies in the ring, before it is sealed. The key that it is sealed to is public, so what is opened may have been written by whoever had the disk. */
import { z } from 'zod';

import type { Envelope } from '../model/envelope.ts';
import { CartularyError } from '../model/errors.ts';

const envelopeSchema = z.strictObject({
  transport: z.literal('webhook'),
  method: z.string(),
  url: z.string(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
  receivedAtMs: z.number(),
});

/** Writes an envelope that came to a hook as JSON with its body in Base64. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return Buffer.from(JSON.stringify({ ...envelope, body: Buffer.from(envelope.body).toString('base64') }), 'utf8');
}

/**
 * Reads what `encodeEnvelope` wrote.
 * @throws CartularyError `corrupt` where the bytes are anything else
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  try {
    const { body, ...envelope } = envelopeSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    const decoded = Buffer.from(body, 'base64');
    if (decoded.toString('base64') !== body) throw new Error('the body is not Base64');
    return { ...envelope, body: decoded };
  } catch (cause) {
    throw new CartularyError('corrupt', 'an envelope in the ring is none', { cause });
  }
}
