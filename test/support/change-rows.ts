/** What somebody does who has the database key: he changes rows past the database's own refusals. */
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../src/vault/page-encryption.ts';

/** Changes an archive's database, or a copy of it in a backup. */
export function changeRows(path: string, key: Uint8Array, change: (database: EncryptedDatabase) => void): void {
  const database = openEncryptedDatabase(path, { key, mustExist: true });
  database.pragma('foreign_keys = OFF');
  for (const trigger of database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    .pluck()
    .all() as string[])
    database.exec(`DROP TRIGGER ${trigger}`);
  change(database);
  database.close();
}
