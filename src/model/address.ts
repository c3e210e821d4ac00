/**
 * Who can be written to: an address is a scheme and a value, meaningful within a scope. A phone number is one scheme of many and never
 * the key of a person: numbers are recycled, and WhatsApp users may have none (BSUID).
 */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import type { CountryCode } from 'libphonenumber-js/max';

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

/**
 * Reads a phone-like sender or recipient: an E.164 number, a short code, an alphanumeric sender, or, where it is none of them, the text
 * itself as `phone_raw`. Channel prefixes (`whatsapp:`, `rcs:`, `messenger:` …) must be stripped before.
 * @param region the shop's region for numbers without a country code; without it such a number stays `phone_raw`
 */
export function parsePhoneAddress(text: string, region?: string): Address {
  const raw = text.slice(0, ADDRESS_CHARS_MAX);
  const trimmed = raw.trim();
  if (E164.test(trimmed)) return writeAddress('e164', trimmed, raw);
  if (/^\d{3,6}$/.test(trimmed)) return writeAddress('short_code', trimmed, raw);
  if (trimmed.length <= 11 && /[A-Za-z]/.test(trimmed)) return writeAddress('alpha_sender', trimmed, raw);
  const known = region === undefined ? phoneCache.get(raw) : undefined;
  if (known !== undefined) return known;
  const address = lookUpPhone(trimmed, raw, region);
  if (region === undefined) rememberPhone(raw, address);
  return address;
}

/** A number as E.164 writes it (ITU-T E.164 §6: up to 15 digits, none 0 first); platforms give it so, and the tables of the library cost 80 µs. */
const E164 = /^\+[1-9]\d{7,14}$/;

function writeAddress(scheme: AddressScheme, value: string, raw: string): Address {
  return value === raw ? { scheme, value } : { scheme, value, raw };
}

const PHONE_CACHE_MAX = 20_000;
/** What the library said, by what was written, since an address remembers how it was written. */
const phoneCache = new Map<string, Address>();

function rememberPhone(raw: string, address: Address): void {
  if (phoneCache.size >= PHONE_CACHE_MAX) phoneCache.clear();
  phoneCache.set(raw, address);
}

function lookUpPhone(trimmed: string, raw: string, region: string | undefined): Address {
  // Not extracted: a number that stands in a text, or behind a prefix nobody stripped, is not the sender.
  const options = { extract: false, ...(region === undefined ? {} : { defaultCountry: region as CountryCode }) };
  const parsed = parsePhoneNumberFromString(trimmed, options);
  if (parsed !== undefined && parsed.isPossible()) return writeAddress('e164', parsed.number, raw);
  return writeAddress('phone_raw', trimmed, raw);
}

/** The text under which an address is one and the same: scheme, scope and value, with `|` and `\` in them escaped so that no two addresses share one. */
export function addressKey(address: Address): string {
  return `${address.scheme}|${escapeBar(address.scope ?? '')}|${escapeBar(address.value)}`;
}

function escapeBar(text: string): string {
  if (!text.includes('|') && !text.includes('\\')) return text;
  return text.replaceAll(/[\\|]/g, '\\$&');
}
