/**
 * Delivery states as a lattice: states of progress in their order, and terminals that end it. What a message's state is does not depend
 * on the order in which reports arrive (reference: integrations §6.4); a terminal failure after `delivered` is kept as a conflict.
 */

/** Progress, from least to most. */
export const PROGRESS_STATES = [
  'scheduled',
  'accepted',
  'queued',
  'sending',
  'sent',
  'delivered',
  'read',
  'played',
] as const;
/** Ends without delivery. */
export const FAILED_STATES = ['failed', 'undelivered', 'expired', 'rejected', 'canceled', 'deleted'] as const;

/** A delivery state; `received` is what an inbound message has, `unknown` what a platform says that it does not know. */
export type DeliveryState = (typeof PROGRESS_STATES)[number] | (typeof FAILED_STATES)[number] | 'received' | 'unknown';

const RANK = new Map<DeliveryState, number>([
  ['unknown', 0],
  ...PROGRESS_STATES.map((state, index): [DeliveryState, number] => [state, 1 + index]),
]);
const DELIVERED_RANK = RANK.get('delivered') ?? 0;
const FAILED = new Set<DeliveryState>(FAILED_STATES);

/** Every state, for schemas. */
export const DELIVERY_STATES: readonly DeliveryState[] = ['unknown', ...PROGRESS_STATES, ...FAILED_STATES, 'received'];

/** Where a state stands: failures stand above `sent` and below `delivered`, so that proof of delivery wins and failure beats hope. */
function rank(state: DeliveryState): number {
  if (state === 'received') return DELIVERED_RANK;
  if (FAILED.has(state)) return DELIVERED_RANK - 0.5;
  return RANK.get(state) ?? 0;
}

/** Is this an end without delivery? */
export function isFailure(state: DeliveryState): boolean {
  return FAILED.has(state);
}

/**
 * The state after two reports, whichever came first: commutative, associative, idempotent.
 * Between two different failures the one that stands first in `FAILED_STATES` is taken.
 */
export function joinDelivery(a: DeliveryState, b: DeliveryState): DeliveryState {
  const difference = rank(a) - rank(b);
  if (difference !== 0) return difference > 0 ? a : b;
  if (a === b) return a;
  if (isFailure(a) && isFailure(b)) {
    const order: readonly DeliveryState[] = FAILED_STATES;
    return order.indexOf(a) < order.indexOf(b) ? a : b;
  }
  return a < b ? a : b;
}

/** Do two reports contradict each other (a failure beside a proof of delivery)? Both are kept; people are told. */
export function isConflict(a: DeliveryState, b: DeliveryState): boolean {
  return (isFailure(a) && rank(b) >= DELIVERED_RANK) || (isFailure(b) && rank(a) >= DELIVERED_RANK);
}
