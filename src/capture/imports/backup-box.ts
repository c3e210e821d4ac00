/**
 * In which box of the phone a text lay, and what that says of its way. Numbers from AOSP: `MESSAGE_TYPE_*` of SMS (1 inbox, 2 sent,
 * 3 draft, 4 outbox, 5 failed, 6 queued), `MESSAGE_BOX_*` of MMS (1 inbox, 2 sent, 3 drafts, 4 outbox, 5 failed), `STATUS_*` of SMS
 * (-1 none, 0 complete, 32 pending, 64 failed), `m_type` of MMS (128 send-req, 130 notification-ind, 132 retrieve-conf).
 */
import type { DeliveryState } from '../../model/delivery.ts';
import type { Channel, Direction, MessageContent } from '../../model/event.ts';
import type { Attributes } from './element-parser.ts';

export type Box = {
  readonly direction: Direction;
  readonly basis: MessageContent['directionBasis'];
  /** What the box says of the delivery; undefined for what was received. */
  readonly state: DeliveryState | undefined;
  /** Did it leave the phone, or try to? Then its date is the time of sending. */
  readonly left: boolean;
  readonly draft: boolean;
  /** The box as the file writes it. */
  readonly raw: string;
};

const OUTBOUND_STATES = new Map<string, DeliveryState>([
  ['2', 'sent'],
  // A draft was never sent; no state of the lattice says so, and `unknown` claims nothing.
  ['3', 'unknown'],
  ['4', 'sending'],
  ['5', 'failed'],
  ['6', 'queued'],
]);

/** The box of an element. */
export function boxOf(channel: Channel, attributes: Attributes): Box {
  const name = channel === 'sms' ? 'type' : 'msg_box';
  const value = attributes[name] ?? '';
  const raw = `${name}=${value}`;
  if (value === '1')
    return { direction: 'inbound', basis: 'provider', state: undefined, left: true, draft: false, raw };
  const state = OUTBOUND_STATES.get(value);
  if (state !== undefined) {
    const left = value === '2' || value === '5';
    return { direction: 'outbound', basis: 'provider', state, left, draft: value === '3', raw };
  }
  const direction = directionOfPdu(attributes['m_type']);
  return { direction, basis: 'inferred', state: undefined, left: direction !== 'unknown', draft: false, raw };
}

function directionOfPdu(type: string | undefined): Direction {
  if (type === '128') return 'outbound';
  return type === '132' || type === '130' ? 'inbound' : 'unknown';
}

/** What box and delivery report together say of an outbound text; undefined where there is nothing to say. */
export function deliveryOf(
  box: Box,
  attributes: Attributes,
): { readonly state: DeliveryState; readonly rawState: string } | undefined {
  if (box.state === undefined) return undefined;
  const status = attributes['status'];
  // Only a text that was sent has a delivery report; in other boxes the column keeps its last value.
  if (box.state === 'sent' && status === '0') return { state: 'delivered', rawState: `${box.raw} status=0` };
  if (box.state === 'sent' && status === '64') return { state: 'failed', rawState: `${box.raw} status=64` };
  return { state: box.state, rawState: status === undefined ? box.raw : `${box.raw} status=${status.slice(0, 16)}` };
}
