/**
 * Did SQLite come upon a page that is not what was written? Apart from page-encryption.ts, so that who only reads errors loads no database.
 * @source https://www.sqlite.org/rescode.html, SQLITE_CORRUPT and SQLITE_NOTADB
 */
export function isDatabaseDamage(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && /^SQLITE_(?:CORRUPT|NOTADB)/.test(String(cause.code));
}
