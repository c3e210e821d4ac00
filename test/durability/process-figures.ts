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
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Behind the name, which may hold blanks: fields 14 and 15.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return {
    rssMb: (numberOf('VmRSS') * 1024) / 1e6,
    rssPeakMb: (numberOf('VmHWM') * 1024) / 1e6,
    files: readdirSync(`/proc/${pid}/fd`).length,
    threads: numberOf('Threads'),
    cpuSeconds: (user + system) / TICKS,
  };
}
