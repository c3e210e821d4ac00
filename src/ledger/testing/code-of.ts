/** The code with which a ledger function refuses, or `ok`: tests compare codes, never texts. */
import { LedgerError } from '../error.ts';
import type { LedgerErrorCode } from '../error.ts';

/** The code of what `work` throws; any other error goes on. */
export function codeOf(work: () => unknown): LedgerErrorCode | 'ok' {
  try {
    work();
  } catch (error) {
    if (error instanceof LedgerError) return error.code;
    throw error;
  }
  return 'ok';
}

/** The code of what a promise rejects with; any other error goes on. */
export async function codeOfAsync(work: () => Promise<unknown>): Promise<LedgerErrorCode | 'ok'> {
  try {
    await work();
  } catch (error) {
    if (error instanceof LedgerError) return error.code;
    throw error;
  }
  return 'ok';
}
