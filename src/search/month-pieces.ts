/** The pieces that batches leave in a month's file, and how they become one. */
import type { EncryptedDatabase } from '../vault/page-encryption.ts';

/** In how many pieces the words of a month are. */
export function countPieces(database: EncryptedDatabase): number {
  return Number(database.prepare('SELECT count(DISTINCT segid) FROM ft_idx').pluck().get());
}

/**
 * Rewrites all lists as one, without what was removed. secure_delete overwrites the old ones, and the write-ahead log, which held
 * both, is cut to nothing. The lists were written beside the old ones, so up to half of the file is free pages then; VACUUM gives
 * them back, unless the file is so large that the copy, which is made in memory, would hurt.
 * @param vacuumBytesMax the largest file, without its free pages, that is copied so
 * @returns whether the log was cut, which readers can prevent
 */
export function mergePieces(database: EncryptedDatabase, vacuumBytesMax: number): boolean {
  database.exec("INSERT INTO ft(ft) VALUES ('optimize')");
  const [pages, freePages, pageBytes] = ['page_count', 'freelist_count', 'page_size'].map((name) =>
    Number(database.pragma(name, { simple: true })),
  ) as [number, number, number];
  if (freePages * 5 > pages && (pages - freePages) * pageBytes <= vacuumBytesMax) database.exec('VACUUM');
  return truncateLog(database);
}

/** Moves the write-ahead log into its file and cuts it to nothing. @returns whether it could be done, which readers can prevent */
export function truncateLog(database: EncryptedDatabase): boolean {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  return result?.busy === 0;
}
