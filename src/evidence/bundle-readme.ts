/**
 * `README.txt` of a bundle: for the person who was handed a ZIP and trusts nobody. It names only standards and tools that are everywhere.
 */
import { BUNDLE_FILES } from './bundle-format.ts';
import type { BundleManifest } from './bundle-format.ts';

/** The text, with what the manifest says of this bundle. */
export function formatReadme(manifest: Omit<BundleManifest, 'files'>): string {
  const { archive, log, counts, exportedAt } = manifest;
  return `EVIDENCE BUNDLE
===============

Archive      ${archive.id}
Exported     ${exportedAt} (by the exporter's clock)
Holds        ${counts.messages} messages, ${counts.records} records, ${counts.media} media
Log          ${log.origin}, ${log.size} entries

What each file is
-----------------
${BUNDLE_FILES.records}    the evidence: one line for each record
${BUNDLE_FILES.proofs}     for each of these lines, the proof that it stands in the log
${BUNDLE_FILES.messages}   what the records of each message add up to, for reading
${BUNDLE_FILES.gaps}       times at which something was found to be missing (only if there were any)
media/           pictures and other media, each named by the SHA-256 of its bytes
${BUNDLE_FILES.checkpoint}       the signed head of the log to which all proofs lead
${BUNDLE_FILES.manifest}    what was asked, when, by whom; SHA-256 of every file
${BUNDLE_FILES.sums}       the same sums for sha256sum

A line of ${BUNDLE_FILES.records} is {"seq", "leaf", "r", "record"}: the place in the log, and in
Base 64 the leaf (139 bytes), a random value (32 bytes), and the exact bytes of the record, which
are UTF-8 JSON. All hashes are over these bytes. A line of ${BUNDLE_FILES.proofs} is {"index",
"leafHash", "proof"}.

How to check it, without the software that made it
--------------------------------------------------
You need the public key of the log, from somewhere other than this bundle: from the shop's web
site, a notary, or your own file of last year. Do not use the one in ${BUNDLE_FILES.manifest}.

1. The files are whole:           sha256sum -c ${BUNDLE_FILES.sums}

2. The head of the log is signed: "${BUNDLE_FILES.checkpoint}" is a signed note (https://c2sp.org/signed-note,
   https://c2sp.org/tlog-checkpoint). Its lines are the log's name, its size, and its root hash in
   Base 64; the signature is Ed25519 over these three lines with their newlines, and stands in the
   last line after the key's name: Base 64 of 4 bytes of key id, then 64 bytes of signature. Any
   tool for signed notes checks it, as does "openssl pkeyutl -verify -rawin".

3. Each record is in the log: with H = SHA-256, the leaf hash is H(0x00 || leaf). Combine it with
   the proof's hashes as RFC 9162 section 2.1.3.2 says (an inner node is H(0x01 || left || right)),
   with "seq" as the index and the size from the checkpoint: the result must be the root.
   For tools that read .tlog-proof files (https://c2sp.org/tlog-proof), write the line
   "c2sp.org/tlog-proof@v1", a line "index <seq>", the hashes of "proof" one a line, an empty line,
   and then the checkpoint as it is.

4. Each record is what its leaf stands for: HMAC-SHA256 with key r over the record bytes must be
   bytes 51 to 82 of the leaf. The leaf, numbers big-endian:
       offset  bytes
            0      1  version, 1
            1      2  kind of record
            3     16  archive
           19     16  record (the hex of the record's own id, without "rec_")
           35     16  the record of the same message before this one; zeros: none
           51     32  HMAC-SHA256(r, record bytes)
           83     32  SHA-256 of the ciphertext that the archive keeps
          115      8  time of capture, milliseconds since 1970-01-01T00:00Z
          123     16  who caused it

5. Nothing is missing between: for the records of one message, each leaf's "record before" is the
   id of the line before it, and zeros for the first.

6. The media are what was stored: a record of kind "media.stored" names the SHA-256 of the medium.

What this proves, and what it does not
--------------------------------------
It proves that exactly these records stood in this log when the checkpoint was signed, and that
none of them was changed, reordered, or removed between two others of the same message. It does
not prove that a message says the truth, that the clock of the archive was right (ask for
cosignatures of witnesses, or a time stamp, on a checkpoint), that the bundle holds every message
on the subject, or who made the bundle: query, time and exporter in ${BUNDLE_FILES.manifest} are
statements. Ask for the archive's own audit record of this export, which stands in the same log.
`;
}
