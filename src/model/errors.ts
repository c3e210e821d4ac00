/**
 * One catalogue of everything that can go wrong, so that clients branch on a code and never on a text.
 * Codes are stable and never reused. `status` is the HTTP answer (DESIGN §8: the sender's fault is 4xx, ours is 5xx),
 * `hint` says what to do. Texts never carry message text, addresses, secrets or keys.
 */
export const ERRORS = {
  'bad-input': { status: 400, title: 'The input is not valid', hint: 'Correct the named field and send it again.' },
  'bad-query': { status: 400, title: 'The query cannot be read', hint: 'Correct the query at the named position.' },
  'bad-signature': { status: 403, title: 'The signature does not match', hint: 'Check the secret of this source.' },
  unauthenticated: { status: 401, title: 'No valid API key', hint: 'Send "Authorization: Bearer <key>".' },
  forbidden: { status: 403, title: 'The key lacks this right', hint: 'Use a key with the scope that is named.' },
  'not-found': { status: 404, title: 'There is no such thing', hint: 'Check the id, the path or the address.' },
  file: {
    status: 400,
    title: 'A file or an address cannot be used',
    hint: 'Check the path or the address, its rights, and the space on the disk.',
  },
  conflict: { status: 409, title: 'This contradicts what is stored', hint: 'Read the current state and try again.' },
  'too-large': { status: 413, title: 'A limit was reached', hint: 'Send less at a time; the limit is named.' },
  'unsupported-media': {
    status: 415,
    title: 'This content type is not understood',
    hint: 'Use a content type named in the API description.',
  },
  'rate-limited': { status: 429, title: 'Too many requests', hint: 'Wait as long as Retry-After says.' },
  internal: { status: 500, title: 'Something failed here', hint: 'Try again; if it stays, run "cartulary doctor".' },
  overloaded: { status: 503, title: 'Busy', hint: 'Try again as Retry-After says.' },
  'database-away': {
    status: 503,
    title: 'The database cannot be reached',
    hint: 'Try again as Retry-After says. Where it stays so, look at the database.',
  },
  stopping: { status: 503, title: 'The server is stopping', hint: 'Try again in a moment.' },
  locked: {
    status: 503,
    title: 'The archive is locked',
    hint: 'Try again as Retry-After says. Whoever runs it: see that its root key can be read, or run "cartulary unlock".',
  },
  'data-held': {
    status: 409,
    title: 'Another process holds the data directory',
    hint: 'Stop it, or run the command against it.',
  },
  'data-newer': {
    status: 500,
    title: 'The data were written by a newer version',
    hint: 'Start the version that wrote them. The way back to this one is a backup from before the update: "cartulary restore BACKUP --data NEW-DIRECTORY" (docs/operate/upgrade.md).',
  },
  setting: { status: 500, title: 'A setting is unknown or unsafe', hint: 'Correct the setting and start again.' },
  corrupt: {
    status: 500,
    title: 'Stored data is damaged',
    hint: 'Run "cartulary verify", then restore from a backup.',
  },
  'disk-failed': {
    status: 500,
    title: 'The disk failed',
    hint: 'Check the disk (dmesg) and its space, start again, then run "cartulary verify".',
  },
  'index-damaged': {
    status: 500,
    title: 'The search index is damaged',
    hint: 'Run "cartulary rebuild": the index is a copy, and the records are whole.',
  },
  'log-damaged': {
    status: 500,
    title: 'A file of the public log is damaged',
    hint: 'Run "cartulary rebuild": the files of the log are written again from the records.',
  },
  'key-missing': {
    status: 500,
    title: 'A key cannot be opened',
    hint: 'Check CARTULARY_KEYS, or use the recovery kit.',
  },
  'key-destroyed': {
    status: 410,
    title: 'The key of this message was destroyed',
    hint: 'The content is gone for good; the log still proves it existed.',
  },
  'key-closed': { status: 409, title: 'The key is closed', hint: 'Nothing can be sealed under it any more.' },
  'key-pinned': { status: 409, title: 'A hold pins this key', hint: 'Release the hold first.' },
} as const satisfies Record<string, { status: number; title: string; hint: string }>;

/** A code of the catalogue. */
export type ErrorCode = keyof typeof ERRORS;

/** An error a caller is meant to understand: a code of the catalogue, a text without personal data, and the cause. */
export class CartularyError extends Error {
  readonly code: ErrorCode;
  /** Machine-readable detail, e.g. `{ column: 7 }`; never personal data or secrets. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; detail?: Record<string, string | number | boolean> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'CartularyError';
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** What the operating system says of a file or an address, in words; by its own codes (errno(3)). */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not do that',
  EADDRINUSE: 'another process listens there; stop it, or set CARTULARY_LISTEN to another address',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EEXIST: 'it is there already',
  EISDIR: 'it is a directory',
  EMFILE: 'too many files are open',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a directory',
  EPERM: 'this user may not do that',
  EROFS: 'the file system can only be read',
};

/** Is this one of our codes? What every object has (`constructor`) is none. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/**
 * What the operating system refused, as an error that a caller understands: which file or address, and why.
 * @returns undefined for what is no error of the operating system
 */
export function asSystemError(cause: unknown): CartularyError | undefined {
  if (!(cause instanceof Error) || !('syscall' in cause) || !('code' in cause)) return undefined;
  const { code, path, address, port } = cause as NodeJS.ErrnoException & { address?: string; port?: number };
  const reason = SYSTEM_REASONS[code ?? ''];
  if (reason === undefined) return undefined;
  const subject = path ?? (address === undefined ? undefined : `${address}:${port ?? ''}`);
  return new CartularyError('file', subject === undefined ? reason : `${subject}: ${reason}`, { cause });
}

/** Has the database gone away, so that the same may be asked again? */
export function isDatabaseAway(cause: unknown): boolean {
  return cause instanceof CartularyError && cause.code === 'database-away';
}

/** Marks a branch that the types rule out. */
export function assertNever(value: never): never {
  throw new CartularyError('internal', `unexpected variant ${String(value)}`);
}
