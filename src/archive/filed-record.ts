/** A record between filing and sealing: what it is, before it has bytes that nobody else can read. */
import type { AppendEntry, SettingChange } from '../store/store.ts';

/** What is to be done after the record is durable; the payload is sealed with the message. */
export type DraftJob = {
  readonly kind: string;
  readonly dueAtMs: number;
  readonly lossAtMs?: number;
  readonly onlyWithoutContent?: boolean;
  readonly payload: Readonly<Record<string, unknown>>;
};

type Filing = {
  /** 16 bytes each. */
  readonly messageId: Uint8Array;
  readonly recordId: Uint8Array;
  readonly actor: Uint8Array;
  /** No secret is looked for: the message is new as a rule. */
  readonly fresh: boolean;
  readonly unique: AppendEntry['unique'];
  /** Number of the leaf's kind. */
  readonly kind: number;
  readonly timeMs: number;
  readonly jobs: readonly DraftJob[];
  readonly settings: readonly SettingChange[];
};

/** A record as it is filed: the JSON of all but the raw slice, and the JSON of that. */
export type FiledRecord = Filing & {
  readonly head: string;
  readonly raw?: string;
  /** What the index is told of it (`writeDocument`), should it begin a message. */
  readonly document?: string;
};

/** A filed record, ready to be sealed. */
export type SealItem = Filing & { readonly recordBytes: Uint8Array; readonly document?: Uint8Array };
