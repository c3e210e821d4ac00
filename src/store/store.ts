/**
 * What is durable: one interface, two engines (`sqlite/` here, PostgreSQL beside it later), one conformance suite over both.
 *
 * Owns: message keys, records with their leaves, dedupe keys, jobs, state rows, settings, holds' pins. Never: sees plaintext. All
 * values it is handed are sealed, keyed hashes, times or numbers.
 * Invariants: the one way to add a record is `append`, a command of plain values run inside the writer; key, record, leaf, dedupe key and
 * jobs of an entry stand in one transaction; a bad entry fails alone; sequence numbers are the leaf indices, without holes; a record row
 * never changes; a pinned or open key row cannot be deleted, and the database itself refuses it.
 */

/** One record to be added. Every byte string is made by the caller; the store understands none but `leaf`'s layout. */
export type AppendEntry = {
  /** 16 bytes: the unit of keys and destruction. */
  readonly messageId: Uint8Array;
  /** 32 bytes: the message secret under which `sealed` was made; kept if the message is new, compared if it is not. */
  readonly secret: Uint8Array;
  /**
   * What may exist only once: `message`: the content of this message; 16 bytes: this event (a keyed hash of its natural dedupe key);
   * undefined: nothing, the record is always new.
   */
  readonly unique: 'message' | Uint8Array | undefined;
  /** Leaf bytes with `previous` left zero: the writer knows which record came before. */
  readonly leaf: Uint8Array;
  readonly sealed: Uint8Array;
  readonly jobs?: readonly NewJob[];
  readonly settings?: readonly SettingChange[];
};

/** A job that is to be done once the record is durable. */
export type NewJob = {
  readonly kind: string;
  readonly dueAtMs: number;
  /** When it becomes pointless (media gone at the platform); earlier comes first. */
  readonly lossAtMs?: number;
  /** Only wanted while the message's content is unknown, and once for a message. */
  readonly onlyWithoutContent?: boolean;
  /** Sealed under the message's secret, or empty. */
  readonly payload: Uint8Array;
};

/** A setting written in the same transaction as the record that says so. `value` undefined removes it. */
export type SettingChange = { readonly name: string; readonly value: Uint8Array | undefined };

/** Settings whose names begin so are about what lies beside this store; no copy has them (`copyTo`), since beside a copy it does not lie, or no longer. */
export const BESIDE_SETTINGS = 'beside/';

/**
 * What became of an entry. `rekey`: the message exists under another secret, seal again under it; `closed`: its key was closed or
 * destroyed, nothing is sealed under it any more; `failed`: this entry alone was refused, with the reason.
 */
export type AppendResult =
  | { readonly status: 'stored'; readonly seq: number; readonly messageNo: number }
  | { readonly status: 'duplicate'; readonly seq: number; readonly messageNo: number }
  | { readonly status: 'rekey'; readonly secret: Uint8Array }
  | { readonly status: 'closed' }
  | { readonly status: 'failed'; readonly reason: string };

/** A record as it stands in the store. */
export type RecordRow = {
  readonly seq: number;
  readonly messageNo: number;
  readonly messageId: Uint8Array;
  /** Undefined once the key was destroyed. */
  readonly secret: Uint8Array | undefined;
  /** The record of the same message before this one, by the store. */
  readonly previousSeq: number | undefined;
  readonly leaf: Uint8Array;
  /** Undefined where the ciphertext was removed after the key. */
  readonly sealed: Uint8Array | undefined;
};

/** All records of one message, oldest first. */
export type MessageRow = {
  readonly messageNo: number;
  readonly messageId: Uint8Array;
  readonly secret: Uint8Array | undefined;
  readonly closed: boolean;
  readonly records: readonly {
    readonly seq: number;
    readonly leaf: Uint8Array;
    readonly sealed: Uint8Array | undefined;
  }[];
  readonly state: StateRow | undefined;
};

/** The sealed current state of a message that has more than one record; a message of one record is its own state. */
export type StateRow = { readonly messageNo: number; readonly version: number; readonly sealed: Uint8Array };

/** A job as a worker claims it. */
export type JobRow = {
  readonly id: number;
  readonly kind: string;
  readonly messageNo: number;
  readonly seq: number;
  readonly attempts: number;
  readonly lossAtMs: number | undefined;
  readonly payload: Uint8Array;
};

/** Which jobs a worker claims: those of some kinds that are due, for a time. */
export type JobClaim = {
  readonly kinds: readonly string[];
  readonly limit: number;
  readonly nowMs: number;
  readonly leaseMs: number;
};

/** What a reader can do; every reader sees only what is durably committed. */
export type StoreReader = {
  /** Number of records, which is the size of the log. */
  size(): Promise<number>;
  /** Records in log order from `fromSeq`, at most `limit`. */
  readLog(fromSeq: number, limit: number): Promise<RecordRow[]>;
  /** Leaf bytes in log order. */
  readLeaves(fromSeq: number, limit: number): Promise<Uint8Array[]>;
  /** Messages by number, in the order asked; missing ones are left out. */
  readMessages(messageNos: readonly number[], options?: { readonly stateOnly?: boolean }): Promise<MessageRow[]>;
  findMessageNo(messageId: Uint8Array): Promise<number | undefined>;
  findSeqByUnique(unique: Uint8Array): Promise<number | undefined>;
  /** Numbers of messages whose key still exists, ascending, for comparing sets. */
  listMessageNos(fromNo: number, limit: number): Promise<number[]>;
  /** Messages by number from `fromNo`, each with its last record, whether their keys exist or not. */
  listLastSeqs(fromNo: number, limit: number): Promise<{ messageNo: number; lastSeq: number }[]>;
  /** Numbers of messages that have a state row, ascending. */
  listStateNos(fromNo: number, limit: number): Promise<number[]>;
  /** Can what is stored beside records, messages and keys be read, down to the last page? Who reads those finds out by reading them. */
  isSound(): Promise<boolean>;
  readSetting(name: string): Promise<Uint8Array | undefined>;
  listSettings(prefix: string): Promise<{ name: string; value: Uint8Array }[]>;
  countJobs(): Promise<{ kind: string; waiting: number; oldestDueAtMs: number | undefined }[]>;
  close(): Promise<void>;
};

/** What the one writer can do. */
export type StoreWriter = {
  /** Adds records; answers in the order asked, each alone, after the durable commit. */
  append(entries: readonly AppendEntry[]): Promise<AppendResult[]>;
  /** Writes state rows; a row older than the one that stands is ignored. */
  putStates(rows: readonly StateRow[]): Promise<void>;
  /** Writes settings that need no record (positions of followers and pollers). */
  putSettings(changes: readonly SettingChange[]): Promise<void>;
  /** Claims due jobs for a time; those with the earliest loss come first. */
  claimJobs(kinds: readonly string[], limit: number, nowMs: number, leaseMs: number): Promise<JobRow[]>;
  finishJob(id: number): Promise<void>;
  retryJob(id: number, dueAtMs: number): Promise<void>;
  /** A hold pins a key: it cannot be closed or destroyed while the pin stands. */
  pinKey(messageId: Uint8Array, hold: string): Promise<void>;
  unpinKey(messageId: Uint8Array, hold: string): Promise<void>;
  /** Closes a key: nothing is sealed under it any more. Refused (`key-pinned`) while a pin stands. */
  closeKey(messageId: Uint8Array): Promise<void>;
  /** Deletes the row of a closed key, its state row and its jobs. Refused (`key-pinned`, `conflict`) while pinned or open. */
  destroyKey(messageId: Uint8Array): Promise<void>;
  /** Makes sure that what was deleted stands in none of the engine's files any more; answers false where a reader stands in the way. */
  scrub(): Promise<boolean>;
  /** Moves the write-ahead log into the database file; done from outside the append path. */
  checkpoint(): Promise<void>;
  /** Writes a consistent, encrypted copy for a backup: content and keys apart. Returns the size of the log in the copy. */
  copyTo(contentPath: string, keysPath: string): Promise<number>;
  close(): Promise<void>;
};
