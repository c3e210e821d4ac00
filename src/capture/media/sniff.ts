/**
 * What bytes are, whatever was said of them. Text formats have no magic number and are told by how they begin.
 */
import { fileTypeFromBuffer } from 'file-type';

const TEXT_BEGINNINGS: readonly (readonly [RegExp, string])[] = [
  [/^(?:\ufeff)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)*(?:<!doctype svg[^>]*>\s*)?<svg[\s>]/i, 'image/svg+xml'],
  [/^(?:\ufeff)?\s*(?:<!--[\s\S]*?-->\s*)*<(?:!doctype html|html|head|body|script)[\s>]/i, 'text/html'],
  [/^(?:\ufeff)?BEGIN:VCARD/i, 'text/vcard'],
];

/**
 * The media type of the bytes.
 * @param firstBytes at least 4,100 of them where there are so many
 * @returns undefined where nothing can be told
 */
export async function sniffMime(firstBytes: Uint8Array): Promise<string | undefined> {
  if (firstBytes.length === 0) return undefined;
  const text = decodeText(firstBytes);
  const told =
    text === undefined ? undefined : TEXT_BEGINNINGS.find(([beginning]) => beginning.test(text.slice(0, 2000)))?.[1];
  if (told !== undefined) return told;
  const found = await fileTypeFromBuffer(firstBytes).catch(() => undefined);
  return found?.mime ?? (text === undefined ? undefined : 'text/plain');
}

/** The text of bytes that are UTF-8 without control characters; a character cut off at the end is forgiven. */
function decodeText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return [...text].some((char) => char < ' ' && !'\t\n\r\f'.includes(char)) ? undefined : text;
  } catch {
    return undefined;
  }
}
