/** What somebody can do who has the database key: changing rows past the database's own refusals. */
import { readFileSync } from 'node:fs';

import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import type { ArchiveId } from '../../src/model/ids.ts';
import { unwrapKeyring } from '../../src/vault/keyring.ts';
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import type { EncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { openLocalRoot } from '../../src/vault/root-provider.ts';

/** The key of an archive's database. */
export async function takeDatabaseKey(directory: string, archiveId: ArchiveId): Promise<Uint8Array> {
  const data = dataLayout(directory);
  const root = await openLocalRoot({ path: data.rootKey });
  const keyring = readFileSync(archiveLayout(data, archiveId).keyring, 'utf8');
  return (await unwrapKeyring(keyring, root)).databaseKey;
}

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
