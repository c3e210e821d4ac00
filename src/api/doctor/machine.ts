/** The machine under the archive: room on the disk and how long it lasts, whether the disk keeps what it says it keeps, whether a record can be made durable. */
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { DISK_LOW_BYTES } from '../../alerts/probes.ts';
import type { Service } from '../service.ts';
import { well } from './check.ts';
import type { Check, Step } from './check.ts';

const GIB = 1024 ** 3;
const DAY_MS = 86_400_000;
/** Days of room below which somebody should plan. */
const ROOM_DAYS_MIN = 60;
/** An archive that is younger says nothing of how fast it grows. */
const AGE_DAYS_MIN = 7;
/** @source linux/magic.h: TMPFS_MAGIC, RAMFS_MAGIC */
const RAM_DISKS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const SYNCS = 8;
const SYNC_BYTES = 4096;
/** A medium that is asked to keep something needs longer than this; what answers sooner has only written it down elsewhere. */
const SYNC_MS_MIN = 0.02;
const SYNC_MS_SLOW = 100;

export const MACHINE_STEPS: readonly Step[] = [
  {
    name: 'disk',
    msMax: 10_000,
    look: ({ archive, house, now }) => lookAtDisk(house.layout.directory, archive, now()),
  },
  { name: 'durable writes', msMax: 30_000, look: ({ house }) => lookAtSync(house.layout.directory) },
  { name: 'records', msMax: 30_000, look: lookAtRecords },
];

async function lookAtDisk(directory: string, archive: Service['archive'], nowMs: number): Promise<Check> {
  const name = 'disk';
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const used = (await stat(archive.layout.database).catch(() => undefined))?.size ?? 0;
  const firstMs = await archive.firstRecordMs();
  const ageDays = firstMs === undefined ? 0 : (nowMs - firstMs) / DAY_MS;
  const days = ageDays < AGE_DAYS_MIN || used === 0 ? undefined : Math.floor(free / (used / ageDays));
  const text = `${(free / GIB).toFixed(1)} GiB free${days === undefined ? '' : `, for some ${days} days as it has grown so far`}`;
  if (free > DISK_LOW_BYTES && (days ?? ROOM_DAYS_MIN) >= ROOM_DAYS_MIN) return well(name, text);
  return {
    name,
    state: 'warning',
    text,
    hint: 'Make room: capture stops with 503 when the disk is full. "cartulary capacity" looks further ahead.',
  };
}

/** Writes a little and asks the disk to keep it. */
async function lookAtSync(directory: string): Promise<Check> {
  const name = 'durable writes';
  const path = join(directory, `.doctor.${randomBytes(6).toString('hex')}.tmp`);
  const times: number[] = [];
  const file = await open(path, 'wx', 0o600);
  try {
    for (let turn = 0; turn < SYNCS; turn += 1) {
      await file.write(randomBytes(SYNC_BYTES));
      const beganMs = performance.now();
      await file.datasync();
      times.push(performance.now() - beganMs);
    }
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  const median = [...times].sort((one, other) => one - other)[SYNCS / 2] ?? 0;
  const text = `the disk keeps what it is told within ${median.toFixed(2)} ms`;
  if (RAM_DISKS.has((await statfs(directory)).type))
    return {
      name,
      state: 'warning',
      text: 'the data directory is in memory: everything goes with the next restart',
      hint: 'Put it on a disk (CARTULARY_DATA).',
    };
  if (median < SYNC_MS_MIN)
    return {
      name,
      state: 'warning',
      text: `the disk answers after ${median.toFixed(3)} ms, faster than a disk can keep anything`,
      hint: 'See whether writes are only cached (virtual disk with cache=unsafe, eatmydata, nobarrier): a power cut would lose what was acknowledged.',
    };
  if (median > SYNC_MS_SLOW)
    return { name, state: 'warning', text, hint: 'Every acknowledgement waits so long. Use a faster disk.' };
  return well(name, text);
}

/** Whether the archive can still make something durable: through the one writer, in whatever keeps the records. */
async function lookAtRecords({ archive, settings }: Service): Promise<Check> {
  const beganMs = performance.now();
  await archive.proveWriting();
  const where = settings.database === undefined ? 'on this machine' : 'in PostgreSQL';
  return well('records', `a trial write ${where} became durable within ${Math.round(performance.now() - beganMs)} ms`);
}
