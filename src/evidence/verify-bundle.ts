/**
 * # Verifying an evidence bundle
 *
 * Offline, with nothing but the log's public key, which must come from elsewhere: the key in the bundle is only compared with it.
 *
 * Owns: the judgement over a bundle (`bundle-format.ts`). Never: writes, asks a network, believes the manifest, quotes content, throws. Whoever
 * made the bundle controls every byte of it; what holds is what the chain bears out:
 *
 *     given key → signature → root → inclusion proof → leaf → HMAC → record bytes → SHA-256 → medium
 *
 * Memory is bounded by the records of one message, the names of the media, and the ids of the messages.
 */
import { formatBase64 } from '../ledger/bytes.ts';
import { parseCheckpoint, verifyCheckpoint } from '../ledger/checkpoint.ts';
import type { Checkpoint, Cosignature } from '../ledger/checkpoint.ts';
import { parseNote, parseVkey } from '../ledger/note.ts';
import {
  BUNDLE_FILES,
  BUNDLE_LIMITS,
  FOLD_VERSION,
  MEDIA_NAME,
  bundleManifest,
  formatManifest,
  formatSums,
} from './bundle-format.ts';
import type { BundleManifest } from './bundle-format.ts';
import { BundleFault, openBundle, readWhole } from './bundle-reader.ts';
import type { BundleSource, FileDigest, OpenBundle } from './bundle-reader.ts';
import { addFault, addThrown } from './fault-list.ts';
import type { BundleFaultReport, FaultList } from './fault-list.ts';
import { checkRecords } from './verify-bundle-records.ts';
import type { MediaClaim } from './verify-bundle-records.ts';

/** The judgement. */
export type BundleReport = {
  readonly ok: boolean;
  /** What was checked and found good or bad alike. */
  readonly records: number;
  readonly messages: number;
  readonly media: number;
  /** The head of the log that the bundle refers to, where its signature is that of the given key. */
  readonly checkpoint?: { readonly origin: string; readonly size: number; readonly root: string };
  /** Cosignatures by the given witnesses. */
  readonly cosignatures: readonly Pick<Cosignature, 'name' | 'timeSeconds'>[];
  /** What the bundle says of itself: statements, proven by nothing in it. */
  readonly claims?: Pick<
    BundleManifest,
    'archive' | 'exportedAt' | 'exportedBy' | 'query' | 'withheld' | 'missingMedia'
  >;
  /** Hex SHA-256 of the manifest: what the archive's audit record of this export should name. */
  readonly manifestSha256?: string;
  /** The first faults; `faultsTotal` counts all. */
  readonly faults: readonly BundleFaultReport[];
  readonly faultsTotal: number;
  /** What a person should know that is no fault. */
  readonly notes: readonly string[];
};

/** What one checks against. */
export type BundleExpectation = {
  /** Verifier key of the log (`<name>+<id>+<base64>`), from elsewhere than the bundle. */
  readonly logKey: string;
  /** Verifier keys of witnesses whose cosignatures shall be checked and reported. */
  readonly witnessKeys?: readonly string[];
};

/** What has been found so far. */
type Findings = {
  readonly list: FaultList;
  readonly notes: string[];
  /** Digests of files that were read to their end. */
  readonly digests: Map<string, FileDigest>;
  checkpoint: Checkpoint | undefined;
  signed: boolean;
  cosignatures: readonly Cosignature[];
  manifest: BundleManifest | undefined;
  counts: { records: number; messages: number; media: number; gaps: number };
};

/**
 * Verifies a bundle: a path, or bytes that can be read at a place. Never throws; whatever is wrong is in the report.
 */
export async function verifyBundle(source: BundleSource, expected: BundleExpectation): Promise<BundleReport> {
  const findings: Findings = {
    list: { faults: [], total: 0 },
    notes: [],
    digests: new Map(),
    checkpoint: undefined,
    signed: false,
    cosignatures: [],
    manifest: undefined,
    counts: { records: 0, messages: 0, media: 0, gaps: 0 },
  };
  let bundle: OpenBundle | undefined;
  try {
    bundle = await openBundle(source);
    await checkBundle(bundle, expected, findings);
  } catch (error) {
    addThrown(findings.list, error, 'not-a-bundle');
  } finally {
    bundle?.close();
  }
  return reportOf(findings);
}

function reportOf({
  list,
  notes,
  digests,
  checkpoint,
  signed,
  cosignatures,
  manifest,
  counts,
}: Findings): BundleReport {
  const manifestSha256 = digests.get(BUNDLE_FILES.manifest)?.sha256;
  return {
    ok: list.total === 0,
    records: counts.records,
    messages: counts.messages,
    media: counts.media,
    ...(checkpoint === undefined || !signed
      ? {}
      : { checkpoint: { origin: checkpoint.origin, size: checkpoint.size, root: formatBase64(checkpoint.root) } }),
    cosignatures: cosignatures.map(({ name, timeSeconds }) => ({ name, timeSeconds })),
    ...(manifest === undefined ? {} : { claims: claimsOf(manifest) }),
    ...(manifestSha256 === undefined ? {} : { manifestSha256 }),
    faults: list.faults,
    faultsTotal: list.total,
    notes,
  };
}

function claimsOf(manifest: BundleManifest): NonNullable<BundleReport['claims']> {
  const { archive, exportedAt, exportedBy, query, withheld, missingMedia } = manifest;
  return { archive, exportedAt, exportedBy, query, withheld, missingMedia };
}

async function checkBundle(bundle: OpenBundle, expected: BundleExpectation, findings: Findings): Promise<void> {
  const { list, counts } = findings;
  await checkManifest(bundle, findings);
  await checkCheckpoint(bundle, expected, findings);
  const { manifest, checkpoint } = findings;
  const foldVersion = manifest?.foldVersion ?? FOLD_VERSION;
  if (foldVersion !== FOLD_VERSION) {
    findings.notes.push(
      'messages.jsonl was made by another version of the rules and was not compared with the records',
    );
  }
  const found = await checkRecords(bundle, {
    list,
    checkpoint,
    archiveId: manifest?.archive.id,
    compareMessages: foldVersion === FOLD_VERSION,
    onDigest: (name, digest) => findings.digests.set(name, digest),
  });
  Object.assign(counts, { records: found.records, messages: found.messages, gaps: found.gaps });
  await checkMedia(bundle, found.media, findings);
  for (const name of bundle.names) {
    if (!findings.digests.has(name)) await digestFile(bundle, name, findings);
  }
  if (manifest !== undefined) await checkAgainstManifest(bundle, manifest, findings);
}

async function checkManifest(bundle: OpenBundle, findings: Findings): Promise<void> {
  const file = BUNDLE_FILES.manifest;
  try {
    const { bytes, digest } = await readWhole(bundle, file, BUNDLE_LIMITS.manifestBytesMax);
    findings.digests.set(file, digest);
    const text = bytes.toString('utf8');
    const manifest = bundleManifest.parse(JSON.parse(text));
    // One form only: otherwise two readers could take one manifest for two (a key given twice).
    if (formatManifest(manifest) !== text)
      throw new BundleFault('manifest-invalid', 'the manifest is not in its one form', { file });
    findings.manifest = manifest;
  } catch (error) {
    addThrown(findings.list, error, 'manifest-invalid', { file });
  }
}

async function checkCheckpoint(bundle: OpenBundle, expected: BundleExpectation, findings: Findings): Promise<void> {
  const file = BUNDLE_FILES.checkpoint;
  const { list } = findings;
  try {
    parseVkey(expected.logKey);
    for (const key of expected.witnessKeys ?? []) parseVkey(key);
  } catch {
    addFault(list, 'bad-key', 'a key to check against is not a verifier key (<name>+<key id>+<base64>)');
  }
  try {
    const { bytes, digest } = await readWhole(bundle, file, BUNDLE_LIMITS.smallFileBytesMax);
    findings.digests.set(file, digest);
    // Read before it is believed: proofs are checked against this root also where the signature is wrong, so that the report says which of the two it is.
    findings.checkpoint = parseCheckpoint(parseNote(bytes).text);
    const verified = verifyCheckpoint(bytes, [expected.logKey, ...(expected.witnessKeys ?? [])]);
    findings.signed = true;
    findings.cosignatures = verified.cosignatures;
  } catch (error) {
    addThrown(list, error, 'checkpoint-invalid', { file });
  }
  const { manifest, checkpoint } = findings;
  if (manifest === undefined || checkpoint === undefined) return;
  const { key, origin, size, root } = manifest.log;
  if (origin !== checkpoint.origin || size !== checkpoint.size || root !== formatBase64(checkpoint.root)) {
    addFault(list, 'manifest-invalid', 'the manifest names another head of the log than the checkpoint', {
      file: BUNDLE_FILES.manifest,
    });
  }
  if (key !== expected.logKey) {
    addFault(list, 'manifest-invalid', 'the manifest names another log key than the one that was given', {
      file: BUNDLE_FILES.manifest,
    });
  }
}

async function checkMedia(
  bundle: OpenBundle,
  claims: ReadonlyMap<string, MediaClaim>,
  findings: Findings,
): Promise<void> {
  const { list, counts, manifest } = findings;
  const names = new Map<string, string>();
  for (const name of bundle.names) {
    const sha256 = MEDIA_NAME.exec(name)?.[1];
    if (sha256 === undefined) continue;
    if (names.has(sha256))
      addFault(list, 'file-unexpected', 'two files are named by the hash of one medium', { file: name });
    names.set(sha256, name);
    const digest = await digestFile(bundle, name, findings);
    const claim = claims.get(sha256);
    if (claim === undefined)
      addFault(list, 'file-unexpected', 'no record says that this medium was stored', { file: name });
    else if (digest !== undefined && (digest.sha256 !== sha256 || digest.bytes !== claim.bytes)) {
      addFault(list, 'media-changed', 'the medium is not the one that was stored', { file: name, seq: claim.seq });
    }
    counts.media += 1;
  }
  const missing = new Set(manifest?.missingMedia);
  for (const [sha256, { seq }] of claims) {
    if (names.has(sha256) === missing.has(sha256)) {
      const text = names.has(sha256)
        ? 'a medium is said to be missing and is there'
        : 'a medium that was stored is not in the bundle';
      addFault(list, 'media-missing', text, { seq });
    }
  }
  if (missing.size > 0) findings.notes.push(`${missing.size} media could not be had when the bundle was made`);
}

async function digestFile(bundle: OpenBundle, name: string, findings: Findings): Promise<FileDigest | undefined> {
  try {
    const { chunks, digest } = bundle.read(name);
    for await (const _chunk of chunks);
    findings.digests.set(name, digest);
    return digest;
  } catch (error) {
    addThrown(findings.list, error, 'file-changed', { file: name });
    return undefined;
  }
}

async function checkAgainstManifest(bundle: OpenBundle, manifest: BundleManifest, findings: Findings): Promise<void> {
  const { list, digests, counts } = findings;
  const there = new Set(bundle.names);
  const named = new Map(manifest.files.map((file) => [file.name, file]));
  if (named.size !== manifest.files.length)
    addFault(list, 'manifest-invalid', 'the manifest names a file twice', { file: BUNDLE_FILES.manifest });
  for (const { name, bytes, sha256 } of manifest.files) {
    const digest = digests.get(name);
    if (!there.has(name)) addFault(list, 'file-missing', 'the manifest names a file that is not there');
    else if (digest?.sha256 !== undefined && (digest.sha256 !== sha256 || digest.bytes !== bytes)) {
      addFault(list, 'file-changed', 'the file is not the one that the manifest names', { file: name });
    }
  }
  for (const name of bundle.names) {
    if (!named.has(name) && name !== BUNDLE_FILES.manifest && name !== BUNDLE_FILES.sums) {
      addFault(list, 'file-unexpected', 'the manifest does not name this file', { file: name });
    }
  }
  for (const name of REQUIRED_FILES) {
    if (!there.has(name)) addFault(list, 'file-missing', 'the bundle lacks this file', { file: name });
  }
  await checkSums(bundle, manifest, findings);
  for (const key of ['messages', 'records', 'media', 'gaps'] as const) {
    if (manifest.counts[key] !== counts[key]) {
      addFault(
        list,
        'count-mismatch',
        `the manifest counts ${manifest.counts[key]} ${key}, the bundle has ${counts[key]}`,
      );
    }
  }
}

/** Files that nothing else asks for. */
const REQUIRED_FILES = [BUNDLE_FILES.readme] as const;

/** `SHA256SUMS` repeats the manifest for people without our tools; it must say the same. */
async function checkSums(bundle: OpenBundle, manifest: BundleManifest, findings: Findings): Promise<void> {
  const file = BUNDLE_FILES.sums;
  try {
    const { bytes } = await readWhole(bundle, file, BUNDLE_LIMITS.manifestBytesMax);
    const sha256 = findings.digests.get(BUNDLE_FILES.manifest)?.sha256 ?? '';
    const text = formatSums([...manifest.files, { name: BUNDLE_FILES.manifest, sha256 }]);
    if (!bytes.equals(Buffer.from(text, 'utf8')))
      throw new BundleFault('file-changed', 'the sums are not those of the manifest', { file });
  } catch (error) {
    addThrown(findings.list, error, 'file-changed', { file });
  }
}
