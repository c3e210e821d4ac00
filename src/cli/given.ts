/** What is given to commands on their line. */
import { CartularyError } from '../model/errors.ts';

/** Gathers an option that may be given several times. */
export function collect(value: string, known: string[]): string[] {
  return [...known, value];
}

/** A setting that was given as `name=value`. @throws CartularyError `bad-input` */
export function splitSetting(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new CartularyError('bad-input', '--set is given as NAME=VALUE');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** A secret as it was given; "-" reads it from standard input, so that it stands in no list of processes and no history. */
export async function readSecret<Given extends string | undefined>(given: Given): Promise<string | Given> {
  if (given !== '-') return given;
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > 8192) break;
  }
  return text.split(/\r?\n/)[0] ?? '';
}
