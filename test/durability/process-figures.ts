/** What a process holds, as its kernel tells (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

export type ProcessFigures = {
  /** Resident memory now, and the most there was; MB. */
  readonly rssMb: number;
  readonly rssPeakMb: number;
  readonly files: number;
  readonly threads: number;
  /** Processor time used since its start. */
  readonly cpuSeconds: number;
};

/** Clock ticks a second of proc_pid_stat(5); the same on every Linux that Node runs on. */
const TICKS = 100;

/** Looks at a process. @throws Error where it is gone, or where there is no /proc */
export function readFigures(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const numberOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return {
    rssMb: (numberOf('VmRSS') * 1024) / 1e6,
    rssPeakMb: (numberOf('VmHWM') * 1024) / 1e6,
    files: readdirSync(`/proc/${pid}/fd`).length,
    threads: numberOf('Threads'),
    cpuSeconds: readTimes(pid).cpuSeconds,
  };
}

/** What the kernel tells of a process and its processor time. */
export type ProcessTimes = {
  /** The process that began it. */
  readonly parent: number;
  readonly cpuSeconds: number;
  /** The same of those that it began and that have ended. */
  readonly endedSeconds: number;
};

/** Reads them. @throws Error where it is gone, or where there is no /proc */
export function readTimes(pid: number): ProcessTimes {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Behind the name, which may hold blanks: fields 4 and 14 to 17.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return {
    parent: fields[1] ?? 0,
    cpuSeconds: (user + system) / TICKS,
    endedSeconds: (endedUser + endedSystem) / TICKS,
  };
}
