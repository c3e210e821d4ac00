/** What the command line prints: results on standard output, everything else on standard error; colours and progress on a terminal only. */

type Progress = { readonly done: number; readonly total: number };

const isTerminal = process.stderr.isTTY && process.env['NO_COLOR'] === undefined;

/** Writes a result. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a result as JSON. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Writes something for the person who watches. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

/** Colours a text on a terminal. */
export function paint(colour: keyof typeof COLOURS, text: string): string {
  return isTerminal && process.stdout.isTTY ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;
}

/** A line that shows how far a long work has come; silent where nobody watches. */
export function createProgress(what: string): { update(progress: Progress): void; end(): void } {
  const startedAt = performance.now();
  let last = 0;
  let shown = false;
  return {
    update({ done, total }) {
      const now = performance.now();
      if (!isTerminal || (now - last < 100 && done < total)) return;
      last = now;
      shown = true;
      const share = total === 0 ? 100 : Math.floor((done / total) * 100);
      const seconds = (now - startedAt) / 1000;
      const left =
        done === 0 || seconds < 1 ? '' : `, ${Math.ceil((seconds / done) * Math.max(0, total - done))} s left`;
      process.stderr.write(`\r\u001b[K${what} ${share} %${left}`);
    },
    end() {
      if (shown) process.stderr.write('\r\u001b[K');
    },
  };
}

/** Text that came from outside, safe to print: control and direction characters are made visible, so that no message can rewrite the screen. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
