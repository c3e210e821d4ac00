import { expect, it } from 'vitest';

import { loadOperation } from './find.ts';
import { OPERATIONS } from './list.ts';

it('every operation is found by its name, and no other', async () => {
  for (const operation of OPERATIONS) expect(await loadOperation(operation.name)).toBe(operation);
  for (const name of ['none', 'key.none', '', 'constructor'])
    await expect(loadOperation(name)).rejects.toMatchObject({ code: 'internal' });
});
