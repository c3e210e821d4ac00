/**
 * Natural keys become ids: keyed hashes, so that the same message has the same id wherever and however often it arrives, no look-up stands
 * in the way of capture, and nobody without the archive's id key can test a guess.
 */
import { formatMessageKey, joinNatural } from '../model/event.ts';
import type { MessageKey } from '../model/event.ts';
import { formatId, ID_BYTES } from '../model/ids.ts';
import type { ConversationId } from '../model/ids.ts';
import { createHmacKey, hmacText } from '../vault/hash.ts';

/** Makes ids of one archive. */
export type Identifier = {
  /** 16 bytes. */
  messageId(key: MessageKey): Uint8Array;
  /** 16 bytes: what makes an event the same event when it comes again. */
  uniqueId(key: MessageKey, dedupe: string): Uint8Array;
  conversationId(key: MessageKey, thread: readonly string[]): ConversationId;
};

/**
 * @param idKey the archive's 32-byte id key; never rotated, since ids must stay what they are
 */
export function createIdentifier(idKey: Uint8Array): Identifier {
  const keyed = createHmacKey(idKey);
  const hashed = (domain: string, text: string): Uint8Array => hmacText(keyed, `${domain}\0${text}`, ID_BYTES);
  return {
    messageId: (key) => hashed('message', formatMessageKey(key)),
    uniqueId: (key, dedupe) =>
      hashed('event', joinNatural([key.platform, key.account, key.conversation ?? '', dedupe])),
    conversationId: (key, thread) =>
      formatId('conversation', hashed('conversation', joinNatural([key.platform, key.account, ...thread]))),
  };
}
