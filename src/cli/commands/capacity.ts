import type { Command } from 'commander';

import type { CapacityReport } from '../../api/operations/capacity.ts';
import { formatBytes } from '../../archive/capacity.ts';
import type { CapacityLine } from '../../archive/capacity.ts';
import { parseCount, runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly textsAMonth?: string; readonly years: string };

const WORTH = {
  measured: 'of a size that was measured',
  likely: 'continued from sizes that were measured: likely',
  rough: 'far beyond what was measured: rough',
  assumed: 'one size was measured, its growth is assumed',
} as const;

/** `capacity`: how far this archive will carry, and when one machine is no longer enough. */
export function defineCapacity(command: Command): void {
  withCommonOptions(command)
    .option('--texts-a-month <n>', 'texts that are expected (default: as many as there were)')
    .option('--years <n>', 'years to look ahead', '7')
    .action(async (options: Options) => {
      const report = await runOperation<CapacityReport>(
        options,
        'capacity',
        {
          years: parseCount('--years', options.years),
          ...(options.textsAMonth === undefined
            ? {}
            : { textsAMonth: parseCount('--texts-a-month', options.textsAMonth) }),
        },
        'looking',
      );
      if (options.json === true) return printJson(report);
      printReport(report);
    });
}

function printReport({
  records,
  recordsPerMonth,
  growthFrom,
  years,
  diskPerRecord,
  lines,
  bounds,
  measured,
}: CapacityReport): void {
  const grows = Math.round(recordsPerMonth).toLocaleString('en');
  const from =
    growthFrom === 'archive' ? 'as in its months so far' : `${measured.recordsPerText} for each text with its states`;
  print(`${records.toLocaleString('en')} records; ${grows} more each month (${from}); ${years} years ahead`);
  const parts = Object.entries(diskPerRecord).map(([part, bytes]) => `${part} ${Math.round(bytes)}`);
  print(`bytes on disk a record: ${parts.join(', ')}`);
  for (const line of lines)
    print(
      `${line.what}: ${formatValue(line, line.now)} now, ${formatValue(line, line.ahead)} then (${WORTH[line.confidence]})`,
    );
  for (const { rule, inMonths } of bounds)
    print(
      `${inMonths === 'unknown' ? 'not known' : inMonths === 'never' ? `not in ${years} years` : inMonthsText(inMonths)}: ${rule}`,
    );
  const reached = bounds.map(({ inMonths }) => inMonths).filter((inMonths) => typeof inMonths === 'number');
  const first = Math.min(...reached);
  print(
    reached.length === 0
      ? `One machine is enough for ${years} years, by what is known here.`
      : `${first === 0 ? 'One machine is no longer enough' : `One machine is enough; ${inMonthsText(first)} it no longer is`}: the archive belongs on PostgreSQL then (docs/operate/postgres.md).`,
  );
  say(
    `Disk is this archive's own; times were measured on ${measured.date} on ${measured.machine}, and yours will differ.`,
  );
}

function inMonthsText(months: number): string {
  if (months === 0) return 'now';
  return `in ${months} month${months === 1 ? '' : 's'}`;
}

function formatValue({ unit }: CapacityLine, value: number): string {
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 's' && value >= 7200) return `${(value / 3600).toFixed(1)} h`;
  if (unit === 's' && value >= 120) return `${(value / 60).toFixed(1)} min`;
  return `${Number(value.toPrecision(3))} ${unit}`;
}
