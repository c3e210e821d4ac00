/** Who cares for the archive: owners, the split kit, drills; and the page for whoever takes over. */
import { z } from 'zod';

import { drillShape } from '../../archive/care.ts';
import { gatherHandover } from '../handover.ts';
import { defineOperation } from '../operation.ts';
import { findMissing } from '../readiness.ts';

const label = z.string().min(1).max(200);

const noteKit = defineOperation(
  'care.kit',
  z.strictObject({ rootId: z.string(), shares: z.number(), threshold: z.number(), holders: z.array(label).max(16) }),
  async (kit, { service, caller }) => {
    await service.archive.noteKit(caller, kit);
    return { missing: await findMissing(service) };
  },
);

const noteDrill = defineOperation('care.drill', drillShape, async (drill, { service, caller }) => {
  await service.archive.noteDrill(caller, drill);
  return { missing: await findMissing(service) };
});

const change = defineOperation(
  'care.change',
  z.strictObject({ owners: z.array(label).max(20).optional(), keptAt: z.string().min(1).max(2000).optional() }),
  async ({ owners, keptAt }, { service, caller }) => {
    await service.archive.changeCare(caller, {
      ...(owners === undefined ? {} : { owners }),
      ...(keptAt === undefined ? {} : { keptAt }),
    });
    return { missing: await findMissing(service) };
  },
);

const handover = defineOperation('handover', z.strictObject({}), async (_args, { service, caller }) =>
  service.archive.act(caller, 'settings:read', 'handover', {}, () => gatherHandover(service)),
);

/** Operations on who cares for the archive. */
export const CARE_OPERATIONS = [noteKit, noteDrill, change, handover];
