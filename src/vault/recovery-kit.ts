/**
 * The recovery kit: the root key on paper. Whoever holds it and a backup can open everything, and without it a lost disk means lost content,
 * so it is printed when an archive is made and after every rotation of the root.
 *
 * The key is written in Crockford's base32 (no I, L, O, U; case does not matter; O reads as 0, I and L as 1). 32 key bytes and 3 check
 * bytes make seven lines of 5 bytes: `K1: ABCD-EFGH  7K3M`, eight digits of key and four of checksum. The checksum covers the number of the
 * line too, so a wrong digit, a swap of digits and a swap of lines are found, and the line is named (a chance of one in a million to miss).
 */
import { CartularyError } from '../model/errors.ts';
import { equalConstantTime, sha256 } from './hash.ts';
import { ROOT_KEY_BYTES, rootKeyId } from './root-file.ts';

/** An archive that the root key opens, for the head of the kit. */
export type RecoveryKitArchive = {
  readonly name: string;
  /** As it is written elsewhere. */
  readonly id: string;
  /** Public key of the archive's log as a C2SP vkey: with it, whoever restores can check that the log is the same one. */
  readonly logKey: string;
};

const LINE_WIDTH_MAX = 76;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LINES = 7;
const LINE_BYTES = 5;
const KEY_DIGITS = 8;
const CHECK_DIGITS = 4;
const CHECK_BYTES = LINES * LINE_BYTES - ROOT_KEY_BYTES;
export const KIT_TEXT_MAX = 1024 * 1024;
/** A line across the page. */
export const RULE = '-'.repeat(LINE_WIDTH_MAX);

/**
 * The text of the kit: plain ASCII, lines of at most 76 characters, one A4 page for up to six archives.
 * @param input `rootKey`: 32 bytes; `madeAt`: milliseconds since 1970
 */
export function formatRecoveryKit(input: {
  readonly rootKey: Uint8Array;
  readonly archives: readonly RecoveryKitArchive[];
  readonly madeAt: number;
}): string {
  if (input.rootKey.length !== ROOT_KEY_BYTES)
    throw new CartularyError('internal', `a root key has ${ROOT_KEY_BYTES} bytes`);
  const lines = [
    'CARTULARY RECOVERY KIT                      Keep on paper, in a safe place.',
    RULE,
    `Made:         ${new Date(input.madeAt).toISOString()}`,
    `Root key id:  ${Buffer.from(rootKeyId(input.rootKey)).toString('hex')}`,
    '',
  ];
  for (const archive of input.archives) {
    lines.push(
      ...field('Archive:      ', archive.name),
      ...field('Archive id:   ', archive.id),
      ...field('Log key:      ', archive.logKey),
      '',
    );
  }
  lines.push(
    'ROOT KEY',
    '',
    ...formatKeyLines(input.rootKey).map((line) => `    ${line}`),
    '',
    RULE,
    ...INSTRUCTIONS,
    RULE,
  );
  return `${lines.join('\n')}\n`;
}

const INSTRUCTIONS = [
  'What this is. The key above opens every archive named above. Anyone who has',
  'it and a copy of the data can read all messages. Nobody can replace it.',
  '',
  'Keep two copies in two places, neither with the backups. Print a new kit',
  'after each change of the root key and destroy the old one.',
  '',
  'To restore:',
  ' 1. Install Cartulary on a new machine and do not start it.',
  ' 2. Bring back the newest content backup, the newest key backup, and the',
  '    destruction list that is kept beside the backups.',
  ' 3. Type the lines K1 to K7 into a text file. Small letters will do; O and',
  '    0, I, L and 1 are read alike. Dashes and spaces do not matter.',
  ' 4. Run "cartulary key restore FILE". A mistyped line is named.',
  ' 5. Compare the root key id that is printed with the one above.',
  ' 6. Delete the text file, run "cartulary verify", and compare the log key',
  '    with the one above. Then start.',
];

/** The seven lines `K1: ABCD-EFGH  7K3M` of a root key. */
function formatKeyLines(rootKey: Uint8Array): readonly string[] {
  const payload = new Uint8Array(LINES * LINE_BYTES);
  payload.set(rootKey, 0);
  payload.set(keyCheck(rootKey), ROOT_KEY_BYTES);
  const lines: string[] = [];
  for (let number = 1; number <= LINES; number += 1) {
    const bytes = payload.subarray((number - 1) * LINE_BYTES, number * LINE_BYTES);
    const digits = encodeBase32(bytes);
    lines.push(`K${number}: ${digits.slice(0, 4)}-${digits.slice(4)}  ${lineCheck(number, bytes)}`);
  }
  payload.fill(0);
  return lines;
}

/**
 * Reads the root key from a whole kit or from its seven lines as a person types them.
 * @param text either lines beginning with K1 to K7 in any order among anything else, or the seven lines alone without their numbers
 * @returns the key (the caller zeroes it) and its id
 * @throws CartularyError `bad-input` naming every line that is missing, given twice, too short, too long or mistyped; `detail.lines`
 *   holds their numbers
 */
export function parseRecoveryKit(text: string): { readonly rootKey: Uint8Array; readonly rootId: string } {
  if (text.length > KIT_TEXT_MAX) throw new CartularyError('bad-input', 'this is too long for a recovery kit');
  const lines = findKeyLines(text);
  const payload = new Uint8Array(LINES * LINE_BYTES);
  const problems: { line: number; problem: string }[] = [];
  for (let number = 1; number <= LINES; number += 1) {
    const read = readKeyLine(number, lines.get(number) ?? []);
    if (typeof read === 'string') problems.push({ line: number, problem: read });
    else payload.set(read, (number - 1) * LINE_BYTES);
  }
  if (problems.length > 0) {
    const list = problems.map(({ line, problem }) => `line K${line} ${problem}`).join('; ');
    throw new CartularyError('bad-input', `${list}: compare with the paper`, {
      detail: { lines: problems.map(({ line }) => line).join(',') },
    });
  }
  const rootKey = payload.slice(0, ROOT_KEY_BYTES);
  const fits = equalConstantTime(keyCheck(rootKey), payload.subarray(ROOT_KEY_BYTES));
  payload.fill(0);
  if (!fits) throw new CartularyError('bad-input', 'each line is right, but not together: are they from one kit?');
  return { rootKey, rootId: Buffer.from(rootKeyId(rootKey)).toString('hex') };
}

/** The digits found for each line number. A numbered line counts wherever it stands; without any, the lines count in their order. */
function findKeyLines(text: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  const plain: string[] = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    // People type "K1:", "k1.", "K l -" for the same thing.
    const numbered = /^[\s>]*[kK]\s*([1-7lLiI])\s*[:.;=)-](.*)$/.exec(line);
    if (numbered === null) {
      if (line.trim() !== '') plain.push(line);
      continue;
    }
    const number = Number((numbered[1] ?? '').replace(/[lLiI]/, '1'));
    found.set(number, [...(found.get(number) ?? []), digitsOf(numbered[2] ?? '')]);
  }
  if (found.size > 0) return found;
  for (const [index, line] of plain.slice(0, LINES).entries()) found.set(index + 1, [digitsOf(line)]);
  return found;
}

function readKeyLine(number: number, candidates: readonly string[]): Uint8Array | string {
  const [digits, second] = candidates;
  if (digits === undefined) return 'is missing';
  if (second !== undefined && second !== digits) return 'is there twice';
  if (!/^[0-9A-Z]*$/.test(digits) || digits.includes('U')) return 'has a character that no kit contains';
  const wanted = KEY_DIGITS + CHECK_DIGITS;
  if (digits.length !== wanted) return `has ${digits.length} characters instead of ${wanted}`;
  const bytes = decodeBase32(digits.slice(0, KEY_DIGITS));
  return lineCheck(number, bytes) === digits.slice(KEY_DIGITS) ? bytes : 'is mistyped';
}

/** Upper case, look-alikes in one form, separators gone. */
export function digitsOf(text: string): string {
  return text
    .toUpperCase()
    .replace(/[\s\-_.,]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
}

function lineCheck(number: number, bytes: Uint8Array): string {
  const digest = sha256(
    Buffer.concat([Buffer.from('cartulary/recovery-kit-line/v1', 'latin1'), Uint8Array.of(number), bytes]),
  );
  return encodeBase32(digest.subarray(0, LINE_BYTES)).slice(0, CHECK_DIGITS);
}

function keyCheck(rootKey: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([Buffer.from('cartulary/recovery-kit/v1', 'latin1'), rootKey])).subarray(0, CHECK_BYTES);
}

/** 5 bytes are exactly 8 digits. */
export function encodeBase32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let digits = '';
  for (let shift = 35n; shift >= 0n; shift -= 5n) digits += ALPHABET.charAt(Number((bits >> shift) & 31n));
  return digits;
}

export function decodeBase32(digits: string): Uint8Array {
  let bits = 0n;
  for (const digit of digits) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(digit));
  const bytes = new Uint8Array(LINE_BYTES);
  for (let index = LINE_BYTES - 1; index >= 0; index -= 1) {
    bytes[index] = Number(bits & 0xffn);
    bits >>= 8n;
  }
  return bytes;
}

/** A labelled text in ASCII, wrapped under itself. */
export function field(label: string, text: string): readonly string[] {
  const room = LINE_WIDTH_MAX - label.length;
  const ascii = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^\x20-\x7e]/g, '?');
  const lines: string[] = [];
  for (let at = 0; at === 0 || at < ascii.length; at += room) {
    lines.push((at === 0 ? label : `${' '.repeat(label.length - 2)}| `) + ascii.slice(at, at + room));
  }
  return lines;
}
