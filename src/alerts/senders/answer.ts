/** What the other side said to a notice. */

/** `permanent`: the same again would be refused again; `afterMs`: how long it asked to be left alone. */
export type Answer =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly text: string; readonly permanent: boolean; readonly afterMs?: number };

/** Characters of an answer that are shown. */
const SHOWN_MAX = 200;

/** What was answered, safe to show and keep: short, in one line, and without whatever secret it may repeat. @param secrets of the route, whole */
export function showAnswer(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets.flatMap(partsOf)) shown = shown.replaceAll(secret, '…');
  return shown
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, SHOWN_MAX);
}

/** An address gives itself away by its path alone. */
function partsOf(secret: string): string[] {
  const path = URL.canParse(secret) ? new URL(secret) : undefined;
  const parts =
    path === undefined ? [secret] : [secret, path.href, path.pathname + path.search, path.pathname, path.search];
  return parts.filter((part) => part.length > 3);
}
