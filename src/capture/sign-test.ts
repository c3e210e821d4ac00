/**
 * A request of our own, signed as a platform signs, by which `doctor` finds out whether a platform's requests would be taken for genuine after all that stands between it and us. It goes to
 * an address at which nothing is ever kept.
 */
import { createHmac } from 'node:crypto';

import type { SignatureScheme } from './signature-schemes.ts';

/** A request to be sent. */
export type TestRequest = {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Letters beyond ASCII, a plus and a space: what a proxy that decodes and writes anew gets wrong. */
const TEXT = 'caf\u00e9 +1 & 2';

/**
 * Signs a test.
 * @param options `url` as the platform is told it; `word`: what tells this test from others
 * @returns undefined for a scheme that this version verifies and cannot sign by
 */
export function signTest(
  scheme: SignatureScheme,
  options: { readonly url: string; readonly secret: string; readonly word: string; readonly nowMs: number },
): TestRequest | undefined {
  const { url, secret, word, nowMs } = options;
  if (scheme.kind === 'twilio') {
    const fields: readonly [string, string][] = [
      ['Body', TEXT],
      ['Test', word],
    ];
    // Reference: Twilio "Secure webhooks": the URL, then names and values in the order of the names.
    const signature = createHmac('sha1', secret)
      .update(url + fields.flat().join(''))
      .digest('base64');
    return {
      headers: {
        'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
        'x-twilio-signature': signature,
      },
      body: new URLSearchParams(fields).toString(),
    };
  }
  if (scheme.kind === 'standard') {
    if (secret.startsWith('whpk_')) return undefined;
    const body = JSON.stringify({ type: 'test', word, text: TEXT });
    const seconds = String(Math.floor(nowMs / 1000));
    const key =
      scheme.key === 'utf8' ? Buffer.from(secret, 'utf8') : Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    // Reference: Standard Webhooks, "Signature scheme".
    const signature = createHmac('sha256', key).update(`${word}.${seconds}.${body}`).digest('base64');
    return {
      headers: {
        'content-type': 'application/json',
        [scheme.idHeader]: word,
        [scheme.timeHeader]: seconds,
        [scheme.signatureHeader]: `v1,${signature}`,
      },
      body,
    };
  }
  return undefined;
}
