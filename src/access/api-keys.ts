/**
 * API keys and what they may do. Until people and roles exist, a key with scopes is who acts.
 *
 * A key reads `ck_<id>_<secret>`: the id is looked up, the secret (32 random bytes) is compared by its SHA-256 in constant time. Because the
 * secret is random, a plain hash is enough; nothing of it can be guessed.
 */
import { CartularyError } from '../model/errors.ts';
import { formatId, ID_BYTES } from '../model/ids.ts';
import type { ApiKeyId } from '../model/ids.ts';
import { equalConstantTime, sha256 } from '../vault/hash.ts';

/** What a key can be allowed. */
export const SCOPES = {
  'records:write': 'Send records into the archive (POST /api/v1/records, imports).',
  'messages:read': 'Search, open messages and conversations, fetch media.',
  export: 'Take messages out as bundles.',
  'log:read': 'Read the entries of the log (kinds and times, no content) and verify.',
  'settings:read': 'See sources, jobs, gaps and keys, without secrets.',
  'settings:write': 'Add and remove sources and keys.',
  operate: 'Back up, rebuild, reprocess.',
} as const;

/** A right. */
export type Scope = keyof typeof SCOPES;

/** Every scope: what the first key has. */
export const ALL_SCOPES = Object.keys(SCOPES) as Scope[];

/** What a further key has where nobody said what it is for: it reads, and changes nothing. */
export const READING_SCOPES: readonly Scope[] = ['messages:read', 'log:read'];

/** A key as it is kept; the secret itself is shown once and never stored. */
export type ApiKey = {
  readonly id: ApiKeyId;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Hex SHA-256 of the secret. */
  readonly hash: string;
  readonly createdAtMs: number;
  readonly revokedAtMs?: number;
};

const SECRET_BYTES = 32;

/** Makes a key. @param random gives so many random bytes */
export function createApiKey(
  name: string,
  scopes: readonly Scope[],
  nowMs: number,
  random: (bytes: number) => Uint8Array,
): { readonly key: ApiKey; readonly text: string } {
  const idBytes = random(ID_BYTES);
  const secret = random(SECRET_BYTES);
  const id = formatId('apiKey', idBytes);
  const text = `ck_${Buffer.from(idBytes).toString('hex')}_${Buffer.from(secret).toString('base64url')}`;
  return {
    key: { id, name, scopes: [...scopes], hash: Buffer.from(sha256(secret)).toString('hex'), createdAtMs: nowMs },
    text,
  };
}

/** The last digit holds but four bits of the secret; the other two are zero, so that a key has one text (RFC 4648 §3.5). */
const KEY_TEXT = /^ck_([0-9a-f]{32})_([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$/;

/**
 * Finds out which key a text is.
 * @throws CartularyError `unauthenticated` for anything but a valid, unrevoked key; the text says nothing of why
 */
export function authenticateApiKey(text: string, findKey: (id: ApiKeyId) => ApiKey | undefined): ApiKey {
  const match = KEY_TEXT.exec(text);
  const [, idHex, secret] = match ?? [];
  const key = idHex === undefined ? undefined : findKey(formatId('apiKey', Buffer.from(idHex, 'hex')));
  // An unknown id costs the same comparison as a known one.
  const given = sha256(Buffer.from(secret ?? '', 'base64url'));
  const fits = equalConstantTime(given, Buffer.from(key?.hash ?? '00'.repeat(32), 'hex'));
  if (key === undefined || !fits || key.revokedAtMs !== undefined)
    throw new CartularyError('unauthenticated', 'no valid API key was given');
  return key;
}

/** @throws CartularyError `bad-input` on a name that is no scope */
export function parseScopes(names: readonly string[]): Scope[] {
  return names.map((name) => {
    // A name that is no right must never be stored with a key: `constructor` is in every object.
    if (!Object.hasOwn(SCOPES, name))
      throw new CartularyError('bad-input', `there is no such scope; scopes are ${ALL_SCOPES.join(', ')}`);
    return name as Scope;
  });
}
