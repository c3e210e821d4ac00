/**
 * The edge keyring: all that a machine needs to take in what platforms send while it cannot open the archive, because the database is away, the root key is locked, or because it is a relay
 * in front of the archive's network.
 *
 * Owns: what is in it, how it lies in a file. Never: holds what opens a record or a spool, or a source's credentials that guarding does not need.
 * Whoever has it and its key can pass for the sources that sign with a shared secret, and can read nothing and do nothing at their platforms. Keys that platforms sign with asymmetrically are
 * public ones.
 */
import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import type { Archive } from '../archive/archive.ts';
import { sourceSchema } from '../archive/registry.ts';
import type { Source } from '../archive/registry.ts';
import { checkShape } from '../model/check-shape.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId, RelayId } from '../model/ids.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import { hkdfSha256 } from '../vault/hash.ts';
import { openUnder, sealUnder } from '../vault/seal-under.ts';
import { findConnector } from './connectors/list.ts';
import { macStateOf } from './mac-state.ts';
import { spoolKeysOf } from './spool-file.ts';
import type { SpoolSealing } from './spool-file.ts';

/** What is in it. */
export type EdgeKeyring = {
  readonly archive: ArchiveId;
  /** Of the archive. */
  readonly name: string;
  /** Milliseconds since 1970: a relay takes no older one than it has. */
  readonly madeAtMs: number;
  /** What the spool is written with. */
  readonly spool: SpoolSealing;
  readonly sources: readonly Source[];
};

const USE = 'edge keyring';
const KEY_BYTES = 32;
/** Far more than all sources of an archive take. */
export const EDGE_KEYRING_BYTES_MAX = 1024 * 1024;

const base64Key = z.string().refine((text) => isKey(text), 'is 32 bytes in base64');
const keyringSchema = z.strictObject({
  version: z.literal(1),
  archive: z.custom<ArchiveId>((value) => typeof value === 'string' && /^arc_[0-9a-f]{32}$/.test(value)),
  name: z.string(),
  madeAtMs: z.number(),
  publicKey: base64Key,
  mac: base64Key,
  sources: z.array(sourceSchema),
});

function isKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES && bytes.toString('base64') === text;
}

/**
 * Reads an edge key as a file or a setting holds it.
 * @throws CartularyError `setting`
 */
export function parseEdgeKey(text: string): Uint8Array {
  const trimmed = text.trim();
  if (!isKey(trimmed))
    throw new CartularyError(
      'setting',
      'an edge key is 32 random bytes in base64: "openssl rand -base64 32" makes one',
    );
  return Buffer.from(trimmed, 'base64');
}

/** The edge key of a machine that was given none: its keyring opens where the archive's own keys do. */
export function ownEdgeKey({ privateKey }: { readonly privateKey: Uint8Array }): Uint8Array {
  return hkdfSha256(privateKey, new Uint8Array(0), Buffer.from('cartulary/edge-key/v1'), KEY_BYTES);
}

/**
 * What an edge is to know now.
 * @param relay whose it is; undefined for a node of the archive
 */
export function makeEdgeKeyring(
  { id, name, registry, spool }: Pick<Archive, 'id' | 'name' | 'registry' | 'spool'>,
  relay: RelayId | undefined,
  madeAtMs: number,
): EdgeKeyring {
  const { publicKey, mac } = spoolKeysOf(spool, relay);
  const sources = registry
    .listSources()
    .filter(({ removedAtMs }) => removedAtMs === undefined)
    .map(asGuarded);
  return { archive: id, name, madeAtMs, spool: { publicKey, mac }, sources };
}

/** What guarding needs of a source: not what it is called or set to, nor what its platform is asked with. */
function asGuarded({ id, connector, secrets, teeUrl, maskOneTimeCodes }: Source): Source {
  const tee = teeUrl === undefined ? {} : { teeUrl };
  // Twilio's secret opens the whole account.
  const isAccount = findConnector(connector)?.signature.kind === 'twilio';
  const checks = isAccount ? secrets.map(macStateOf) : secrets;
  return { id, connector, name: id, secrets: checks, settings: {}, ...tee, maskOneTimeCodes, createdAtMs: 0 };
}

/** Says whether two are the same but for when they were made. */
export function isSameKeyring(one: EdgeKeyring | undefined, other: EdgeKeyring): boolean {
  return one !== undefined && formatPlain({ ...one, madeAtMs: 0 }) === formatPlain({ ...other, madeAtMs: 0 });
}

/** Seals it under an edge key. */
export function sealEdgeKeyring(keyring: EdgeKeyring, key: Uint8Array): Uint8Array {
  return sealUnder(key, USE, Buffer.from(formatPlain(keyring)));
}

function formatPlain({ archive, name, madeAtMs, spool, sources }: EdgeKeyring): string {
  const [publicKey, mac] = [spool.publicKey, spool.mac].map((bytes) => Buffer.from(bytes).toString('base64'));
  return JSON.stringify({ version: 1, archive, name, madeAtMs, publicKey, mac, sources });
}

/**
 * Opens what `sealEdgeKeyring` made.
 * @throws CartularyError `corrupt` where it was altered or is of another key
 */
export function openEdgeKeyring(sealed: Uint8Array, key: Uint8Array): EdgeKeyring {
  return parseEdgeKeyring(openUnder(key, USE, sealed));
}

/** Reads the opened bytes. @throws CartularyError `corrupt` */
export function parseEdgeKeyring(plain: Uint8Array): EdgeKeyring {
  const parsed = checkShape(keyringSchema, parseJson(plain));
  if (!parsed.success) throw new CartularyError('corrupt', 'the edge keyring is none that this program knows');
  const { archive, name, madeAtMs, publicKey, mac, sources } = parsed.data;
  const spool = { publicKey: Buffer.from(publicKey, 'base64'), mac: Buffer.from(mac, 'base64') };
  return { archive, name, madeAtMs, spool, sources };
}

function parseJson(plain: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(plain).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Writes it, durably. */
export async function writeEdgeKeyring(path: string, keyring: EdgeKeyring, key: Uint8Array): Promise<void> {
  await writeFileDurably(path, sealEdgeKeyring(keyring, key), 0o600);
}

/** Reads it; undefined where there is none. @throws CartularyError `corrupt` */
export async function findEdgeKeyring(path: string, key: Uint8Array): Promise<EdgeKeyring | undefined> {
  const sealed = await readFile(path).catch(() => undefined);
  return sealed === undefined ? undefined : openEdgeKeyring(sealed, key);
}
