import { idBytes } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import type { Keyring } from '../vault/keyring.ts';
import { createSealer } from '../vault/seal.ts';
import type { Sealer } from '../vault/seal.ts';

/** Makes a sealer with an archive's keys. */
export function makeSealer(
  archiveId: ArchiveId,
  { sealKeys, currentSealVersion }: Pick<Keyring, 'sealKeys' | 'currentSealVersion'>,
): Sealer {
  return createSealer({ archiveId: idBytes(archiveId), sealKeys, currentVersion: currentSealVersion });
}
