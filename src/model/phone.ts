/**
 * Telephone numbers as senders write them. Apart from `address.ts`, because the tables of all numbering plans take 9 MB in every thread that loads them.
 */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import type { CountryCode } from 'libphonenumber-js/max';

import { ADDRESS_CHARS_MAX } from './address.ts';
import type { Address, AddressScheme } from './address.ts';

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
  if (parsed !== undefined && parsed.isPossible() && E164.test(parsed.number))
    return writeAddress('e164', parsed.number, raw);
  return writeAddress('phone_raw', trimmed, raw);
}
