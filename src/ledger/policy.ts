/**
 * # Policies (C2SP tlog-policy)
 *
 * Which logs and which witnesses one trusts, and how many of them must agree, written down in a file that anyone can read:
 *
 *     log <vkey> [<url>]
 *     witness <name> <vkey> [<url>]
 *     group <name> <k>|any|all <member>…
 *     quorum <name>|none
 *
 * A group has seen a checkpoint when at least k of its members have; members are witnesses or groups defined above it, and
 * each name is a member at most once, so that no witness counts twice. The quorum must have seen the checkpoint.
 *
 * The standard treats the file as octets; here it must be UTF-8, which the standard recommends, and names are compared
 * character by character without any normalisation, which is then the same.
 */
import { equalBytes, formatHex, parseUtf8, utf8 } from './bytes.ts';
import { readCheckpoint, parseVkeys } from './checkpoint.ts';
import type { VerifiedCheckpoint, Vkeys } from './checkpoint.ts';
import { LedgerError } from './error.ts';
import { SIGNATURE_COSIGNATURE, SIGNATURE_ED25519, parseVkey, verifyNote } from './note.ts';
import type { Note, SignatureType, VerifierKey } from './note.ts';

/** Bytes of the longest policy. */
export const POLICY_BYTES_MAX = 262_144;
/** Logs, witnesses and groups of a policy, each; the standard asks for 32 at least. */
export const POLICY_ITEMS_MAX = 256;

/** A log that is trusted; its key's name is its origin. */
export type PolicyLog = { readonly key: VerifierKey; readonly url?: string };
/** A witness; `name` has a meaning only inside the policy. */
export type PolicyWitness = { readonly name: string; readonly key: VerifierKey; readonly url?: string };
/** A group, which has seen what `threshold` of its members have seen. */
export type PolicyGroup = { readonly name: string; readonly threshold: number; readonly members: readonly string[] };

/** A policy, as `parsePolicy` reads it. */
export type Policy = {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  readonly groups: readonly PolicyGroup[];
  /** A witness or group, or `none`. */
  readonly quorum: string;
};

type Draft = {
  logs: PolicyLog[];
  witnesses: PolicyWitness[];
  groups: PolicyGroup[];
  used: Set<string>;
  quorum?: string;
};

/** Reads a policy. Throws `bad-policy` with the line's number as `position`, `limit`. */
export function parsePolicy(policy: string | Uint8Array): Policy {
  const bytes = typeof policy === 'string' ? utf8(policy) : policy;
  if (bytes.length > POLICY_BYTES_MAX) throw new LedgerError('limit', `a policy has at most ${POLICY_BYTES_MAX} bytes`);
  const lines = parseUtf8(bytes).split('\n');
  const draft: Draft = { logs: [], witnesses: [], groups: [], used: new Set() };
  for (const [index, line] of lines.entries()) parseLine(draft, line, index + 1);
  const { logs, witnesses, groups, quorum } = draft;
  if (quorum === undefined) throw new LedgerError('bad-policy', 'the policy has no quorum line');
  return { logs, witnesses, groups, quorum };
}

function parseLine(draft: Draft, line: string, position: number): void {
  const fail: Fail = (text, cause) => new LedgerError('bad-policy', `line ${position}: ${text}`, { position, cause });
  // oxlint-disable-next-line no-control-regex -- control characters are what the standard forbids
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) throw fail('control characters are not allowed');
  const words = line.split(/[ \t]+/).filter((word) => word !== '');
  const [keyword, ...values] = words;
  if (keyword === undefined || keyword.startsWith('#')) return;
  switch (keyword) {
    case 'log':
      return parseLog(draft, values, fail);
    case 'witness':
      return parseWitness(draft, values, fail);
    case 'group':
      return parseGroup(draft, values, fail);
    case 'quorum':
      return parseQuorum(draft, values, fail);
    default:
      throw fail('a line begins with log, witness, group or quorum');
  }
}

type Fail = (text: string, cause?: unknown) => LedgerError;

function parseLog(draft: Draft, [vkey, url, ...rest]: readonly string[], fail: Fail): void {
  if (vkey === undefined || rest.length > 0) throw fail('a log line is "log <vkey> [<url>]"');
  const key = parsePolicyKey(vkey, SIGNATURE_ED25519, fail);
  assertNewKey(draft.logs, key, fail);
  draft.logs.push({ key, ...(url === undefined ? {} : { url }) });
}

function parseWitness(draft: Draft, [name, vkey, url, ...rest]: readonly string[], fail: Fail): void {
  if (name === undefined || vkey === undefined || rest.length > 0) {
    throw fail('a witness line is "witness <name> <vkey> [<url>]"');
  }
  assertNewName(draft, name, fail);
  const key = parsePolicyKey(vkey, SIGNATURE_COSIGNATURE, fail);
  assertNewKey(draft.witnesses, key, fail);
  draft.witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
}

function parseGroup(draft: Draft, [name, count, ...members]: readonly string[], fail: Fail): void {
  if (name === undefined || count === undefined || members.length === 0) {
    throw fail('a group line is "group <name> <k>|any|all <member>…"');
  }
  assertNewName(draft, name, fail);
  if (draft.groups.length === POLICY_ITEMS_MAX) throw fail(`a policy has at most ${POLICY_ITEMS_MAX} groups`);
  for (const member of members) {
    if (!isDefined(draft, member)) throw fail('a member of the group is not defined above');
    if (draft.used.has(member)) throw fail('a name is a member of a group at most once');
    draft.used.add(member);
  }
  const threshold = count === 'all' ? members.length : count === 'any' ? 1 : parseThreshold(count, fail);
  if (threshold < 1 || threshold > members.length) throw fail('the threshold is not from 1 to the number of members');
  draft.groups.push({ name, threshold, members });
}

function parseThreshold(count: string, fail: Fail): number {
  if (!/^[1-9][0-9]{0,5}$/.test(count)) throw fail('the threshold is a decimal number, "any" or "all"');
  return Number(count);
}

function parseQuorum(draft: Draft, [name, ...rest]: readonly string[], fail: Fail): void {
  if (name === undefined || rest.length > 0) throw fail('a quorum line is "quorum <name>|none"');
  if (draft.quorum !== undefined) throw fail('a policy has exactly one quorum line');
  if (name !== 'none' && !isDefined(draft, name)) throw fail('the quorum is not defined above');
  draft.quorum = name;
}

function parsePolicyKey(vkey: string, type: SignatureType, fail: Fail): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVkey(vkey);
  } catch (cause) {
    throw fail('the verifier key is not valid', cause);
  }
  if (key.type !== type) throw fail(`this line needs a key of type 0x0${type}`);
  return key;
}

function assertNewKey(known: readonly { key: VerifierKey }[], { publicKey }: VerifierKey, fail: Fail): void {
  if (known.length === POLICY_ITEMS_MAX) throw fail(`a policy has at most ${POLICY_ITEMS_MAX} keys of a kind`);
  if (known.some(({ key }) => equalBytes(key.publicKey, publicKey))) throw fail('this public key stands above already');
}

function assertNewName(draft: Draft, name: string, fail: Fail): void {
  if (name === 'none') throw fail('the name "none" is reserved');
  if (isDefined(draft, name)) throw fail('this name is defined above already');
}

function isDefined(draft: Draft, wanted: string): boolean {
  return [...draft.witnesses, ...draft.groups].some(({ name }) => name === wanted);
}

/** The verdict of a policy on a checkpoint: `ok` when the quorum has seen it. */
export type PolicyVerdict = {
  readonly ok: boolean;
  readonly checkpoint: VerifiedCheckpoint;
  /** Names, in the policy, of the witnesses that cosigned. */
  readonly witnesses: readonly string[];
  /** Names of the groups that have seen the checkpoint. */
  readonly groups: readonly string[];
};

/**
 * Evaluates a policy on a signed checkpoint. `logKeys` are trusted beside the logs of the policy, which may list none.
 * Throws as `verifyCheckpoint` does when no trusted log signed it or a known signature is false; too few witnesses are not
 * an error but `ok: false`.
 */
export function evaluatePolicy(
  policy: Policy,
  checkpoint: string | Uint8Array | Note,
  options: { logKeys?: Vkeys } = {},
): PolicyVerdict {
  const logKeys = [...policy.logs.map(({ key }) => key), ...parseVkeys(options.logKeys ?? [])];
  const verified = verifyNote(checkpoint, [...logKeys, ...policy.witnesses.map(({ key }) => key)]);
  const seenBy = new Set(verified.verified.map(({ key }) => formatHex(key.publicKey) + String(key.type)));
  const seen = new Set<string>();
  for (const { name, key } of policy.witnesses) {
    if (seenBy.has(formatHex(key.publicKey) + String(key.type))) seen.add(name);
  }
  const witnesses = [...seen];
  // Members are defined before their group, so that one pass in the order of the file is enough.
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => seen.has(member)).length >= threshold) seen.add(name);
  }
  return {
    ok: policy.quorum === 'none' || seen.has(policy.quorum),
    checkpoint: readCheckpoint(verified),
    witnesses,
    groups: policy.groups.map(({ name }) => name).filter((name) => seen.has(name)),
  };
}

/** As `evaluatePolicy`, but throws `quorum-missing` when too few witnesses cosigned. Returns the checkpoint. */
export function verifyPolicy(
  policy: Policy,
  checkpoint: string | Uint8Array | Note,
  options: { logKeys?: Vkeys } = {},
): VerifiedCheckpoint {
  const verdict = evaluatePolicy(policy, checkpoint, options);
  if (!verdict.ok) {
    throw new LedgerError('quorum-missing', `the quorum ${policy.quorum} has not cosigned this checkpoint`);
  }
  return verdict.checkpoint;
}
