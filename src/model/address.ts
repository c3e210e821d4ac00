/**
 * Who can be written to: an address is a scheme and a value, meaningful within a scope. A phone number is one scheme of many and never
 * the key of a person: numbers are recycled, and WhatsApp users may have none (BSUID).
 */
/** Known schemes of addresses. */
export const ADDRESS_SCHEMES = [
  'e164',
  'short_code',
  'alpha_sender',
  'phone_raw',
  'email',
  'wa_bsuid',
  'wa_username',
  'wa_lid',
  'psid',
  'igsid',
  'telegram_user',
  'line_user',
  'viber',
  'wechat_openid',
  'zalo',
  'slack_user',
  'aad_user',
  'discord_user',
  'rcs_agent',
  'rcs_user',
  'messaging_service',
  'messenger_page',
  'shop_customer',
  'name_only',
  'handle',
] as const;

/** A scheme of addresses. */
export type AddressScheme = (typeof ADDRESS_SCHEMES)[number];

/** An address as it is kept: the normalised value beside what the platform wrote. */
export type Address = {
  readonly scheme: AddressScheme;
  /** Normalised: `+49…` for e164, lower case for email. */
  readonly value: string;
  /** Page, business portfolio or workspace in which a scoped id means something. */
  readonly scope?: string;
  /** What the platform wrote, where it differs from `value`. */
  readonly raw?: string;
};

/** What a party is in a conversation. */
export type PartyKind = 'customer' | 'shop' | 'agent' | 'bot' | 'unknown';

/** A party as one event names it, with all its identities that the event carries. */
export type PartyRef = {
  readonly kind: PartyKind;
  readonly address: Address;
  /** Other identities of the same party in the same event. */
  readonly also?: readonly Address[];
  readonly name?: string;
};

/** Longest address kept; a longer one is cut and stays whole in the raw slice. */
export const ADDRESS_CHARS_MAX = 256;

/** The text under which an address is one and the same: scheme, scope and value, with `|` and `\` in them escaped so that no two addresses share one. */
export function addressKey(address: Address): string {
  return `${address.scheme}|${escapeBar(address.scope ?? '')}|${escapeBar(address.value)}`;
}

function escapeBar(text: string): string {
  if (!text.includes('|') && !text.includes('\\')) return text;
  return text.replaceAll(/[\\|]/g, '\\$&');
}
