/**
 * Ids are 16 bytes, written as a prefix that names the kind and 32 lower-case hex digits. Message, conversation and party ids are keyed
 * hashes of natural keys (made in archive/, with the archive's id key), so that no look-up stands in the way of capture and nobody
 * without the key can guess an id from a phone number. Record ids are random.
 */
import { CartularyError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type ArchiveId = Branded<'ArchiveId'>;
export type MessageId = Branded<'MessageId'>;
export type RecordId = Branded<'RecordId'>;
export type ConversationId = Branded<'ConversationId'>;
export type PartyId = Branded<'PartyId'>;
export type SourceId = Branded<'SourceId'>;
export type ApiKeyId = Branded<'ApiKeyId'>;
export type AlertId = Branded<'AlertId'>;
export type AlertRouteId = Branded<'AlertRouteId'>;
export type RelayId = Branded<'RelayId'>;

/** Prefix of each kind of id. */
export const ID_PREFIX = {
  archive: 'arc_',
  message: 'msg_',
  record: 'rec_',
  conversation: 'cnv_',
  party: 'pty_',
  source: 'src_',
  apiKey: 'key_',
  alert: 'alt_',
  alertRoute: 'rte_',
  relay: 'rly_',
} as const;

/** The kinds of id and the type of each. */
export type IdOf = {
  archive: ArchiveId;
  message: MessageId;
  record: RecordId;
  conversation: ConversationId;
  party: PartyId;
  source: SourceId;
  apiKey: ApiKeyId;
  alert: AlertId;
  alertRoute: AlertRouteId;
  relay: RelayId;
};

/** Bytes of an id. */
export const ID_BYTES = 16;

const scratch = Buffer.alloc(ID_BYTES);

/**
 * Writes 16 bytes as an id of a kind.
 * @throws CartularyError `internal` where the bytes are not 16
 */
export function formatId<Kind extends keyof IdOf>(kind: Kind, bytes: Uint8Array): IdOf[Kind] {
  if (bytes.length !== ID_BYTES) throw new CartularyError('internal', `an id is ${ID_BYTES} bytes`);
  // Copied into a buffer that exists, since a new view costs more than the rest.
  scratch.set(bytes);
  return (ID_PREFIX[kind] + scratch.toString('hex')) as IdOf[Kind];
}

/**
 * Checks an id that came from outside.
 * @throws CartularyError `bad-input` where it is not an id of this kind
 */
export function parseId<Kind extends keyof IdOf>(kind: Kind, text: string): IdOf[Kind] {
  const prefix = ID_PREFIX[kind];
  if (
    text.length !== prefix.length + 2 * ID_BYTES ||
    !text.startsWith(prefix) ||
    !/^[0-9a-f]{32}$/.test(text.slice(prefix.length))
  ) {
    throw new CartularyError('bad-input', `this is not ${kind.startsWith('a') ? 'an' : 'a'} ${kind} id`);
  }
  return text as IdOf[Kind];
}

/** The 16 bytes of an id. */
export function idBytes(id: IdOf[keyof IdOf]): Uint8Array {
  return Buffer.from(id.slice(4), 'hex');
}
