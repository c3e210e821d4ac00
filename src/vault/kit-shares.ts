/**
 * The recovery kit in shares: so many of them together give the root key, and fewer tell nothing of it (Shamir 1979, over GF(256) as in AES, byte by byte). So no single person
 * can open the archive from a backup, and no single loss closes it for good.
 *
 * A share is printed like the kit, under a letter: `A1: ABCD-EFGH  7K3M` to `A8`. Its 40 bytes are: 1 byte (high half: version 1, low half: how many shares it takes), 2 bytes that all
 * shares of one splitting have in common, 4 bytes of the root key's id, 1 byte where the share lies on its polynomials (x), 32 bytes of their values there (y). Letter and number of a
 * line go into its check digits, so that lines of several shares in one text cannot be mixed up.
 */
import { randomBytes } from 'node:crypto';

import { combine, split } from 'shamir-secret-sharing';

import { CartularyError } from '../model/errors.ts';
import { equalConstantTime, sha256 } from './hash.ts';
import { decodeBase32, digitsOf, encodeBase32, field, KIT_TEXT_MAX, parseRecoveryKit, RULE } from './recovery-kit.ts';
import type { RecoveryKitArchive } from './recovery-kit.ts';
import { ROOT_KEY_BYTES, rootKeyId } from './root-file.ts';
import { restoreLocalRoot } from './root-provider.ts';
import type { LocalRoot, LocalRootOptions } from './root-provider.ts';

/** Letters of shares; K is the kit's own. */
const LETTERS = 'ABCDEFGH';
/** Shares of one kit at most. */
export const SHARES_MAX = LETTERS.length;
const LINES = 8;
const LINE_BYTES = 5;
const KEY_DIGITS = 8;
const CHECK_DIGITS = 4;
const VERSION = 1;
const SET_BYTES = 2;
const ROOT_CHECK_BYTES = 4;
const HEAD_BYTES = 1 + SET_BYTES + ROOT_CHECK_BYTES;
const X_BYTES = 1;

/** What a kit is split into. */
export type SplitOptions = {
  readonly rootKey: Uint8Array;
  readonly archives: readonly RecoveryKitArchive[];
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  /** How many there are, 2 to 8, and how many of them it takes, 2 or more. */
  readonly shares: number;
  readonly threshold: number;
  /** Who is to keep each; none need be named. */
  readonly holders?: readonly string[];
};

/**
 * Splits a root key into printed shares.
 * @returns the text of each: plain ASCII, lines of at most 76 characters, one page
 * @throws CartularyError `bad-input` for numbers that make no sense
 */
export async function formatKitShares(options: SplitOptions): Promise<string[]> {
  const { rootKey, shares, threshold, holders = [] } = options;
  if (rootKey.length !== ROOT_KEY_BYTES) throw new CartularyError('internal', `a root key has ${ROOT_KEY_BYTES} bytes`);
  if (!Number.isInteger(shares) || shares < 2 || shares > SHARES_MAX)
    throw new CartularyError('bad-input', `there are 2 to ${SHARES_MAX} shares`);
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > shares)
    throw new CartularyError('bad-input', 'it takes at least 2 shares, and at most as many as there are');
  if (holders.length !== 0 && holders.length !== shares)
    throw new CartularyError('bad-input', 'name a holder for each share, or none');
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = (VERSION << 4) | threshold;
  head.set(randomBytes(SET_BYTES), 1);
  head.set(rootKeyId(rootKey).subarray(0, ROOT_CHECK_BYTES), 1 + SET_BYTES);
  const points = await split(rootKey, shares, threshold);
  return points.map((point, index) => {
    const payload = new Uint8Array(LINES * LINE_BYTES);
    payload.set(head, 0);
    payload.set(point.subarray(ROOT_KEY_BYTES), HEAD_BYTES);
    payload.set(point.subarray(0, ROOT_KEY_BYTES), HEAD_BYTES + X_BYTES);
    point.fill(0);
    return formatShare(options, { letter: LETTERS.charAt(index), holder: holders[index], payload });
  });
}

function formatShare(
  { rootKey, archives, madeAt, shares, threshold }: SplitOptions,
  {
    letter,
    holder,
    payload,
  }: { readonly letter: string; readonly holder: string | undefined; readonly payload: Uint8Array },
): string {
  const lines = [
    `CARTULARY RECOVERY KIT, SHARE ${letter} OF ${shares}        Keep on paper, in a safe place.`,
    RULE,
    `Made:         ${new Date(madeAt).toISOString()}`,
    `Root key id:  ${Buffer.from(rootKeyId(rootKey)).toString('hex')}`,
    `It takes:     ${threshold} of ${shares} shares`,
    ...(holder === undefined ? [] : field('Kept by:      ', holder)),
    '',
    ...archives.flatMap(({ name, id, logKey }) => [
      ...field('Archive:      ', name),
      ...field('Archive id:   ', id),
      ...field('Log key:      ', logKey),
      '',
    ]),
    `SHARE ${letter}`,
    '',
  ];
  for (let number = 1; number <= LINES; number += 1) {
    const bytes = payload.subarray((number - 1) * LINE_BYTES, number * LINE_BYTES);
    const digits = encodeBase32(bytes);
    lines.push(`    ${letter}${number}: ${digits.slice(0, 4)}-${digits.slice(4)}  ${lineCheck(letter, number, bytes)}`);
  }
  payload.fill(0);
  return `${[...lines, '', RULE, ...INSTRUCTIONS, RULE].join('\n')}\n`;
}

const INSTRUCTIONS = [
  'What this is. As many shares as it takes, of this one splitting, give the',
  'root key that opens every archive named above. Fewer tell nothing of it.',
  'Keep each share with another person, none with the backups. Shares of an',
  'earlier splitting still work until the root key is changed.',
  '',
  'To restore:',
  ' 1. Install Cartulary on a new machine and do not start it.',
  ' 2. Bring as many holders together as it takes.',
  ' 3. Type the eight lines of each share into a text file of its own, with',
  '    letter and number. Small letters will do; O and 0, I, L and 1 are read',
  '    alike. Dashes and spaces do not matter.',
  ' 4. Run "cartulary key restore FILE FILE". A mistyped line is named. Or give',
  '    the files to "cartulary restore BACKUP --kit FILE --kit FILE".',
  ' 5. Compare the root key id that is printed with the one above.',
  ' 6. Delete the text files, run "cartulary verify", and compare the log key',
  '    with the one above. Then start.',
];

/**
 * Reads the root key from a recovery kit, or from as many of its shares as it takes, in one text in any order.
 * @returns the key (the caller zeroes it) and its id
 * @throws CartularyError `bad-input` naming every line that is missing, given twice, too short, too long or mistyped, and how many shares are missing
 */
export async function readKit(text: string): Promise<{ readonly rootKey: Uint8Array; readonly rootId: string }> {
  if (text.length > KIT_TEXT_MAX) throw new CartularyError('bad-input', 'this is too long for a recovery kit');
  const found = findShareLines(text);
  if (found.size === 0) return parseRecoveryKit(text);
  const shares = readShares(found);
  const [first] = shares;
  if (first === undefined) throw new CartularyError('bad-input', 'there is no share');
  const threshold = (first.payload[0] ?? 0) & 0x0f;
  if ((first.payload[0] ?? 0) >> 4 !== VERSION || threshold < 2)
    throw new CartularyError('bad-input', 'this share is of a later version of Cartulary');
  const head = first.payload.subarray(0, HEAD_BYTES);
  const stranger = shares.find(({ payload }) => !equalConstantTime(payload.subarray(0, HEAD_BYTES), head));
  if (stranger !== undefined)
    throw new CartularyError(
      'bad-input',
      `the shares ${first.letter} and ${stranger.letter} are of two splittings: take shares that were made at one time`,
    );
  if (shares.length < threshold)
    throw new CartularyError('bad-input', `it takes ${threshold} shares, and here is ${shares.length}`);
  return putTogether(shares, head);
}

async function putTogether(
  shares: readonly Share[],
  head: Uint8Array,
): Promise<{ readonly rootKey: Uint8Array; readonly rootId: string }> {
  const points = shares.map(({ payload }) =>
    Uint8Array.from([...payload.subarray(HEAD_BYTES + X_BYTES), ...payload.subarray(HEAD_BYTES, HEAD_BYTES + X_BYTES)]),
  );
  const unlike = new CartularyError('bad-input', 'each line is right, but not together: are the shares of one kit?');
  let rootKey: Uint8Array;
  try {
    rootKey = await combine(points);
  } catch {
    // Two shares that lie on one point: the same share under two letters.
    throw unlike;
  } finally {
    for (const point of points) point.fill(0);
  }
  const id = rootKeyId(rootKey);
  if (!equalConstantTime(id.subarray(0, ROOT_CHECK_BYTES), head.subarray(1 + SET_BYTES))) throw unlike;
  return { rootKey, rootId: Buffer.from(id).toString('hex') };
}

type Share = { readonly letter: string; readonly payload: Uint8Array };

/** The digits found for each line of each share. */
function findShareLines(text: string): Map<string, Map<number, string[]>> {
  const found = new Map<string, Map<number, string[]>>();
  for (const line of text.split(/\r\n|\r|\n/)) {
    // A whole kit is read as such, whatever else stands with it.
    if (/^[\s>]*[kK]\s*[1-7]\s*:/.test(line)) return new Map();
    const numbered = /^[\s>]*([a-hA-H])\s*([1-8lLiI])\s*[:.;=)-](.*)$/.exec(line);
    if (numbered === null) continue;
    const letter = (numbered[1] ?? '').toUpperCase();
    const number = Number((numbered[2] ?? '').replace(/[lLiI]/, '1'));
    const lines = found.get(letter) ?? new Map<number, string[]>();
    lines.set(number, [...(lines.get(number) ?? []), digitsOf(numbered[3] ?? '')]);
    found.set(letter, lines);
  }
  return found;
}

/** @throws CartularyError `bad-input` naming every line that is not right */
function readShares(found: ReadonlyMap<string, ReadonlyMap<number, readonly string[]>>): Share[] {
  const problems: { readonly line: string; readonly problem: string }[] = [];
  const shares = [...found].map(([letter, lines]) => {
    const payload = new Uint8Array(LINES * LINE_BYTES);
    for (let number = 1; number <= LINES; number += 1) {
      const read = readShareLine(letter, number, lines.get(number) ?? []);
      if (typeof read === 'string') problems.push({ line: `${letter}${number}`, problem: read });
      else payload.set(read, (number - 1) * LINE_BYTES);
    }
    return { letter, payload };
  });
  if (problems.length === 0) return shares;
  const list = problems.map(({ line, problem }) => `line ${line} ${problem}`).join('; ');
  throw new CartularyError('bad-input', `${list}: compare with the paper`, {
    detail: { lines: problems.map(({ line }) => line).join(',') },
  });
}

function readShareLine(letter: string, number: number, candidates: readonly string[]): Uint8Array | string {
  const [digits, second] = candidates;
  if (digits === undefined) return 'is missing';
  if (second !== undefined && candidates.some((other) => other !== digits)) return 'is there twice';
  if (!/^[0-9A-Z]*$/.test(digits) || digits.includes('U')) return 'has a character that no share contains';
  const wanted = KEY_DIGITS + CHECK_DIGITS;
  if (digits.length !== wanted) return `has ${digits.length} characters instead of ${wanted}`;
  const bytes = decodeBase32(digits.slice(0, KEY_DIGITS));
  return lineCheck(letter, number, bytes) === digits.slice(KEY_DIGITS) ? bytes : 'is mistyped';
}

function lineCheck(letter: string, number: number, bytes: Uint8Array): string {
  const label = Buffer.from(`cartulary/kit-share-line/v1 ${letter}${number} `, 'latin1');
  return encodeBase32(sha256(Buffer.concat([label, bytes])).subarray(0, LINE_BYTES)).slice(0, CHECK_DIGITS);
}

/**
 * Writes the key file anew from a kit, or from as many of its shares as it takes.
 * @throws CartularyError as {@link readKit} and `restoreLocalRoot`
 */
export async function restoreLocalRootFromKit(
  text: string,
  options: LocalRootOptions & { readonly now?: () => number },
): Promise<LocalRoot> {
  const { rootKey } = await readKit(text);
  try {
    return await restoreLocalRoot({ ...options, rootKey });
  } finally {
    rootKey.fill(0);
  }
}
