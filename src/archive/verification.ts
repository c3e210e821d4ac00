/** A verification, and its record. */
import type { ArchiveParts } from './archive-parts.ts';
import type { AuditAct } from '../model/event.ts';
import { readSignerMemory } from './signer-memory.ts';
import type { VerifyReport } from './threads/verify-thread.ts';

/** Nothing can be put on record, since the database is damaged. */
export class UnrecordedError extends Error {}

/** Verifies and puts on record that it was done, where anything still can be. @param act does the work and puts it on record */
export async function verifyOnRecord(
  act: (work: () => Promise<VerifyReport>) => Promise<VerifyReport>,
  run: () => Promise<VerifyReport>,
): Promise<VerifyReport> {
  const box: { report?: VerifyReport } = {};
  try {
    return await act(async () => {
      box.report = await run();
      // A write would come upon the damage and end the process before anybody is told.
      if (box.report.faults.some(({ code }) => code === 'database-damaged')) throw new UnrecordedError();
      return box.report;
    });
  } catch (cause) {
    // Where the damage is such that nothing can be put on record any more, what was found must be told all the more; it holds no content.
    if (box.report === undefined) throw cause;
    const text = 'this verification could not be put on record';
    return { ...box.report, ok: false, faults: [...box.report.faults, { code: 'audit-not-kept', text }] };
  }
}

/** What the record of a verification says of it. */
export function describeVerification({ ok, size, faults }: VerifyReport): AuditAct['detail'] {
  return { ok, size, faults: faults.length };
}

/** Verifies what the store, the log and the signer hold. */
export async function runVerification(
  { threads, vkey, formerVkeys, layout, node }: ArchiveParts,
  request: { readonly vkey?: string; readonly earlier?: readonly string[] },
  context: { signal?: AbortSignal; onProgress?: (progress: { done: number; total: number }) => void },
): Promise<VerifyReport> {
  // This node publishes at least as far; what others sign after it is newer than its files.
  const remembered = node === undefined ? {} : { remembered: { head: await readSignerMemory(layout.signerMemory) } };
  // A signer that refuses to sign is itself a finding: the verification goes on and says why.
  const refusal = await threads.log.call('publish', undefined).then(
    () => undefined,
    (cause: unknown) => (cause instanceof Error ? cause.message : 'it failed'),
  );
  const known = { vkey: request.vkey ?? vkey, formerVkeys, earlier: request.earlier ?? [] };
  return threads.runVerify({ ...known, ...remembered, ...(refusal === undefined ? {} : { refusal }) }, context);
}
