/** Who cares for the archive and whether it could be brought back: owners, kit, drill, backups, tokens that end. */
import { stat } from 'node:fs/promises';

import { isBackupDue } from '../backups.ts';
import { findMissing } from '../readiness.ts';
import type { Service } from '../service.ts';
import { well } from './check.ts';
import type { Check, Step } from './check.ts';

const DAY_MS = 86_400_000;
/** Two days, as the alert has it, or two turns where backups are rarer. */
const BACKUP_AGE_DAYS = 2;
const DRILL_AGE_DAYS = 180;
const TOKEN_DAYS = 30;

export const CARE_STEPS: readonly Step[] = [
  { name: 'backups', msMax: 10_000, look: lookAtBackups },
  { name: 'restore drill', msMax: 10_000, look: lookAtDrill },
  { name: 'in good hands', msMax: 10_000, look: lookAtMissing },
  { name: 'tokens', msMax: 10_000, look: lookAtTokens },
];

async function lookAtBackups({ archive, house, settings, now }: Service): Promise<Check> {
  const name = 'backups';
  const { backups, failure } = await archive.findCare();
  const lastMs = await archive.lastBackupMs();
  const last = lastMs === undefined ? 'there is none' : `the last good one is of ${new Date(lastMs).toISOString()}`;
  if (failure !== undefined)
    return {
      name,
      state: 'failed',
      text: `${failure.times} failed in a row since ${new Date(failure.sinceMs).toISOString()} (${failure.cause}); ${last}`,
      hint: 'Run "cartulary backup": it says what is wrong.',
    };
  const everyDays = (settings.backup?.every.hours ?? 0) / 24;
  const ageDays = lastMs === undefined ? Infinity : (now() - lastMs) / DAY_MS;
  if (ageDays > Math.max(BACKUP_AGE_DAYS, 2 * everyDays))
    return {
      name,
      state: 'warning',
      text: last,
      hint: 'Set CARTULARY_BACKUP to another machine or to s3://…: see docs/operate/backups.md.',
    };
  if (settings.backup === undefined)
    return {
      name,
      state: 'warning',
      text: `${last}; none is made by itself`,
      hint: 'Set CARTULARY_BACKUP to another machine or to s3://…: see docs/operate/backups.md.',
    };
  const { content } = settings.backup.places;
  if (content.engine === 'directory' && (await isOnOneDisk(content.path, house.layout.directory)))
    return {
      name,
      state: 'warning',
      text: `${last}, on the same disk as the archive`,
      hint: 'One failure takes both: send them to another machine or to s3://…',
    };
  const due = isBackupDue(settings.backup.every, { backups }, now()) ? '; the next one is due' : '';
  return well(name, `${last}, tried and found to be sound${due}`);
}

async function isOnOneDisk(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)));
  return first !== undefined && first.dev === second?.dev;
}

async function lookAtDrill({ archive, now }: Service): Promise<Check> {
  const name = 'restore drill';
  const hint = 'Run "cartulary drill --backup PLACE --kit SHARE --kit SHARE", best on another machine.';
  const [last] = (await archive.findCare()).drills;
  if (last === undefined) return { name, state: 'warning', text: 'none is on record', hint };
  const days = Math.floor((now() - last.atMs) / DAY_MS);
  const text = `${days} days ago: ${last.ok ? `back in ${Math.round(last.totalMs / 1000)} s` : `failed (${last.faults.join(', ')})`}`;
  if (!last.ok) return { name, state: 'failed', text, hint };
  return days > DRILL_AGE_DAYS ? { name, state: 'warning', text, hint } : well(name, text);
}

async function lookAtMissing(service: Service): Promise<Check> {
  const name = 'in good hands';
  const missing = await findMissing(service);
  if (missing.length === 0) return well(name, 'two owners, a split recovery kit, a drill on record');
  return {
    name,
    state: 'warning',
    text: missing.map(({ text }) => text).join('; '),
    hint: missing.map(({ todo }) => todo).join(' '),
  };
}

async function lookAtTokens({ archive, now }: Service): Promise<Check> {
  const name = 'tokens';
  const { sources } = await archive.findCare();
  const connected = archive.registry.listSources().filter(({ removedAtMs }) => removedAtMs === undefined);
  const ends = connected.flatMap((source) => {
    const expires = sources.get(source.id)?.expires;
    return expires === undefined
      ? []
      : [{ name: source.name, days: Math.floor((Date.parse(expires) - now()) / DAY_MS) }];
  });
  const over = ends.filter(({ days }) => days < 0);
  const soon = ends.filter(({ days }) => days >= 0 && days <= TOKEN_DAYS);
  const hint =
    'Get a new token from its owner ("cartulary handover"), then "cartulary source secret" and "cartulary source change --expires".';
  if (over.length > 0) return { name, state: 'failed', text: `over: ${over.map((end) => end.name).join(', ')}`, hint };
  if (soon.length > 0)
    return { name, state: 'warning', text: soon.map((end) => `${end.name} ends in ${end.days} days`).join('; '), hint };
  const unowned = connected.filter(({ id }) => sources.get(id)?.owner === undefined);
  if (unowned.length > 0)
    return {
      name,
      state: 'warning',
      text: `nobody is named as owner of ${unowned
        .map((source) => source.name)
        .slice(0, 10)
        .join(', ')}`,
      hint: 'Say who: cartulary source change ID --owner NAME.',
    };
  return well(name, `${connected.length} source(s), each with an owner`);
}
