/** What a verification found wrong, gathered: the first faults by name, all by number. */
import { LedgerError } from '../ledger/error.ts';
import { BundleFault } from './bundle-reader.ts';
import type { BundleFaultCode } from './bundle-reader.ts';

/** Something wrong with a bundle. `file` is one of the names that bundles have; the text never quotes content. */
export type BundleFaultReport = {
  readonly code: BundleFaultCode;
  readonly file?: string;
  readonly seq?: number;
  readonly text: string;
};

/** Faults that are named one by one. */
const FAULTS_MAX = 200;

/** Gathers faults. */
export type FaultList = { readonly faults: BundleFaultReport[]; total: number };

/** Where a fault lies. */
export type FaultPlace = { readonly file?: string; readonly seq?: number };

/** Adds a fault. */
export function addFault(list: FaultList, code: BundleFaultCode, text: string, place: FaultPlace = {}): void {
  list.total += 1;
  if (list.faults.length < FAULTS_MAX) list.faults.push({ code, ...place, text });
}

/** Adds what was thrown: a `BundleFault` as it is, anything else as `fallback`. Only texts of the ledger are repeated, which quote nothing. */
export function addThrown(list: FaultList, error: unknown, fallback: BundleFaultCode, place: FaultPlace = {}): void {
  if (error instanceof BundleFault) {
    const { file, seq } = error;
    addFault(list, error.code, error.message, {
      ...place,
      ...(file === undefined ? {} : { file }),
      ...(seq === undefined ? {} : { seq }),
    });
  } else addFault(list, fallback, error instanceof LedgerError ? error.message : 'this cannot be read', place);
}
