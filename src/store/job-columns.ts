/** Jobs as they stand in a table, which is the same in both engines. */
import type { JobRow } from './store.ts';

/** Columns of a row. */
export type JobColumns = {
  readonly id: number;
  readonly kind: string;
  readonly no: number;
  readonly seq: number;
  readonly attempts: number;
  readonly loss_at: number | null;
  readonly payload: Uint8Array;
};

/** A job as a worker claims it. */
export function toJobRow({ id, kind, no, seq, attempts, loss_at, payload }: JobColumns): JobRow {
  return { id, kind, messageNo: no, seq, attempts, lossAtMs: loss_at ?? undefined, payload };
}
