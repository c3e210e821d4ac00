/** Opens an archive that could not be opened at its start. */
import { z } from 'zod';

import { defineOperation } from '../operation.ts';

const unlock = defineOperation(
  'unlock',
  z.strictObject({ passphrase: z.string().min(1).max(1024).optional() }),
  async () => ({ opened: false }),
  async ({ passphrase }, face) => {
    await face.unlock(passphrase);
    return { opened: true };
  },
);

/** Opening. */
export const UNLOCK_OPERATIONS = [unlock];
