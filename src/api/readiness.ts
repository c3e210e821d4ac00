/** What an archive must have before messages of real people are entrusted to it. Nothing waits for it: what comes is kept, and the warning stays until all is there. */
import type { Service } from './service.ts';

/** What is missing, and what to do. */
export type Missing = { readonly code: 'owners' | 'split-kit' | 'drill'; readonly text: string; readonly todo: string };

const OWNERS_MIN = 2;

/** What is missing yet; nothing for the archive of a make-believe shop. */
export async function findMissing({ archive, house, isDemo }: Service): Promise<Missing[]> {
  if (isDemo) return [];
  const { owners, kit, drills } = await archive.findCare();
  const missing: Missing[] = [];
  if (owners.length < OWNERS_MIN)
    missing.push({
      code: 'owners',
      text: owners.length === 0 ? 'nobody is named as owner' : 'only one owner is named',
      todo: 'Name two people: cartulary handover set --owner "NAME <how to reach>" --owner "…".',
    });
  if (kit?.rootId !== house.rootId)
    missing.push({
      code: 'split-kit',
      text:
        kit === undefined
          ? 'the recovery kit was not split: one paper opens everything, and its loss closes everything'
          : 'the root key was changed since the recovery kit was split',
      todo: 'Stop the archive and print three shares, of which two open it: cartulary key split.',
    });
  if (!drills.some(({ ok }) => ok))
    missing.push({
      code: 'drill',
      text: 'no restore drill is on record',
      todo: 'cartulary drill --backup PLACE --kit SHARE --kit SHARE.',
    });
  return missing;
}

/** The same in one line. */
export function describeMissing(missing: readonly Missing[]): string {
  return `Before messages of real people come in: ${missing.map(({ text }) => text).join('; ')}.`;
}
