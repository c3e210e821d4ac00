import type { Notice, Speaker } from '../notice.ts';

/** What a sender is given beside the route and the words. */
export type Sending = {
  readonly notice: Notice;
  readonly speaker: Speaker;
  /** The same for every try of one delivery. */
  readonly deliveryId: string;
  readonly signal: AbortSignal;
  readonly nowMs: number;
};
