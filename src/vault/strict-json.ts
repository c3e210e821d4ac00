/**
 * Reading the small JSON files of the vault. Whoever can write to the disk controls them, so everything is checked: unknown and missing
 * fields, types, bounds, the one spelling of base64 and of hexadecimal. Errors name the field, never its value.
 */
import { CartularyError } from '../model/errors.ts';

/** The largest vault file that is read. */
export const VAULT_FILE_BYTES_MAX = 1024 * 1024;

/** A JSON object whose fields are exactly the expected ones, with values not yet checked. */
export type StrictObject<Field extends string> = { readonly [Name in Field]: unknown };

/**
 * Parses a text that must hold one object.
 * @param what names the file in errors
 * @throws CartularyError `corrupt`
 */
export function parseStrictJson<Field extends string>(
  text: string,
  what: string,
  fields: readonly Field[],
): StrictObject<Field> {
  if (text.length > VAULT_FILE_BYTES_MAX)
    throw new CartularyError('corrupt', `${what} is larger than any that was written`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error of JSON.parse quotes the text, which holds key material.
    throw new CartularyError('corrupt', `${what} is not JSON`);
  }
  return strictObject(value, what, fields);
}

/** Checks that a value is an object with exactly these fields. */
export function strictObject<Field extends string>(
  value: unknown,
  what: string,
  fields: readonly Field[],
): StrictObject<Field> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what, 'is not an object');
  for (const name of Object.keys(value)) {
    if (!fields.some((field) => field === name)) throw wrong(what, 'has a field that is not known');
  }
  for (const field of fields) {
    if (!Object.hasOwn(value, field)) throw wrong(what, `lacks "${field}"`);
  }
  return value as StrictObject<Field>;
}

/** Checks a list and its length. */
export function strictList(value: unknown, what: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > lengthMax)
    throw wrong(what, `is not a list of 1 to ${lengthMax}`);
  return value;
}

/** Checks that a value is one fixed text. */
export function strictLiteral(value: unknown, what: string, literal: string): void {
  if (value !== literal) throw wrong(what, `is not "${literal}"`);
}

/** Checks a whole number within bounds. */
export function strictInteger(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw wrong(what, `is not within ${min} and ${max}`);
  return value;
}

/** Checks bytes in standard base64, in its one spelling. */
export function strictBase64(value: unknown, what: string, bytesMin: number, bytesMax: number): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
  if (bytes === undefined || bytes.toString('base64') !== value) throw wrong(what, 'is not base64');
  if (bytes.length < bytesMin || bytes.length > bytesMax) throw wrong(what, 'has the wrong length');
  const own = new Uint8Array(bytes);
  bytes.fill(0);
  return own;
}

/** Checks bytes in lower-case hexadecimal. */
export function strictHex(value: unknown, what: string, bytes: number): Uint8Array {
  if (typeof value !== 'string' || value.length !== 2 * bytes || !/^[0-9a-f]*$/.test(value))
    throw wrong(what, `is not ${bytes} bytes in hexadecimal`);
  return new Uint8Array(Buffer.from(value, 'hex'));
}

/** Checks an instant as `toISOString` writes it and returns milliseconds since 1970. */
export function strictInstant(value: unknown, what: string): number {
  const instant = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(instant) || new Date(instant).toISOString() !== value) throw wrong(what, 'is not an instant in UTC');
  return instant;
}

function wrong(what: string, problem: string): CartularyError {
  return new CartularyError('corrupt', `${what} ${problem}`);
}
