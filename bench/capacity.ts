/** What a mid-sized shop will need, continued from measured runs. */
import { writeFileSync } from 'node:fs';

import { CAPACITY_FIGURES, fitPower, forecast, forecastAll, formatBytes } from '../src/archive/capacity.ts';
import type { FigureName, Measurements, Sample } from '../src/archive/capacity.ts';
import { MEASURED } from '../src/archive/capacity-measured.ts';
import { formatNumber } from './figure.ts';
import { QUERY_KINDS } from './goals.ts';
import type { Panel } from './plot.ts';
import type { RunReport } from './report-file.ts';

/** A mid-sized shop: 3 M texts a month with their states, for 7 years. */
export const SHOP = { textsPerMonth: 3_000_000, years: 7 };

/** Takes what runs measured as samples. Rates become the time of the whole archive. */
export function toMeasurements(reports: readonly RunReport[]): Measurements {
  const newest = reports.toSorted((a, b) => b.machine.date.localeCompare(a.machine.date))[0];
  if (newest === undefined) throw new Error('capacity takes files of runs');
  const samples = (
    value: (report: RunReport, id: (id: string) => number | undefined) => number | undefined,
  ): Sample[] =>
    reports.flatMap((report) => {
      const found = value(report, (id) => report.figures.find((figure) => figure.id === id)?.value);
      return found === undefined ? [] : [{ records: report.records, value: found }];
    });
  const time = (name: string): Sample[] =>
    samples((report, find) => {
      const rate = find(`${name}.rate`);
      return rate === undefined ? undefined : report.records / rate;
    });
  const slowest = samples((_report, find) => {
    const times = QUERY_KINDS.flatMap((kind) => find(`search.${kind}.p95`) ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  });
  const found: Record<FigureName, Sample[]> = {
    search: slowest,
    start: samples((_report, find) => find('start.open')),
    verify: time('verify'),
    backup: samples((_report, find) => find('backup.time')),
    restore: samples((_report, find) => find('restore.time')),
    rebuild: time('rebuild'),
    disk: samples((report, find) => {
      const share = find('disk.total');
      return share === undefined ? undefined : share * report.envelopeBytes;
    }),
  };
  const rate = reports.flatMap(({ figures }) => figures.find(({ id }) => id === 'ack.rate')?.value ?? []);
  const shops = reports.filter(({ mix }) => mix === 'shop').map(({ records, messages }) => records / messages);
  return {
    date: newest.machine.date.slice(0, 10),
    machine: `${newest.machine.cpus} × ${newest.machine.cpu}`,
    textsPerSecond: rate.length === 0 ? MEASURED.textsPerSecond : Math.round(Math.min(...rate)),
    recordsPerText: shops.length === 0 ? MEASURED.recordsPerText : Number(Math.max(...shops).toFixed(2)),
    samples: Object.fromEntries(Object.entries(found).filter(([, list]) => list.length > 0)),
  };
}

/** The forecast as lines of a Markdown table. @param pricePerGbMonth in dollars, an assumption that is printed */
export function formatCapacity(measured: Measurements, pricePerGbMonth: number): string {
  const texts = SHOP.textsPerMonth * 12 * SHOP.years;
  const growth = { recordsNow: 0, recordsPerMonth: SHOP.textsPerMonth * measured.recordsPerText, years: SHOP.years };
  const lines = forecastAll(measured, growth).map(({ name, what, unit, ahead, exponent, confidence }) => {
    const sizes = new Set((measured.samples[name] ?? []).map(({ records }) => records)).size;
    const value =
      unit === 'bytes'
        ? formatBytes(ahead)
        : unit === 's' && ahead > 7200
          ? `${formatNumber(ahead / 3600)} h`
          : `${formatNumber(ahead)} ${unit}`;
    return `| ${what} | ${value} | records^${exponent.toFixed(2)}, ${sizes} size${sizes === 1 ? ', exponent assumed' : 's'} | ${confidence} |`;
  });
  const disk = fitPower(measured.samples.disk ?? []);
  const bytes = disk === undefined ? 0 : forecast(disk, texts * measured.recordsPerText).value;
  if (bytes > 0)
    lines.push(
      `| storage | ${formatNumber((bytes / 1e9) * pricePerGbMonth)} $ a month | at $${pricePerGbMonth} a GB and month, an assumption (\`--price\`) | as disk |`,
    );
  return `${texts.toLocaleString('en')} texts, ${Math.round(texts * measured.recordsPerText).toLocaleString('en')} records (${measured.recordsPerText} a text). Measured ${measured.date} on ${measured.machine}.\n\n| what | then | fit | worth |\n|---|---|---|---|\n${lines.join('\n')}`;
}

/** The measured sizes and the line on to the shop's. */
export function capacityPanels(measured: Measurements): Panel[] {
  const end = SHOP.textsPerMonth * 12 * SHOP.years * measured.recordsPerText;
  return CAPACITY_FIGURES.flatMap(({ name, what, unit, exponent }) => {
    const samples = measured.samples[name] ?? [];
    const fit = fitPower(samples, exponent);
    if (fit === undefined) return [];
    const dashed = [fit.recordsMin, end].map((records) => ({ x: records, y: forecast(fit, records).value }));
    const points = samples.map(({ records, value }) => ({ x: records, y: value }));
    return [
      {
        title: what,
        unit,
        logY: true,
        series: [
          { label: 'measured', points },
          { label: 'forecast', points: dashed, dashed: true },
        ],
      },
    ];
  });
}

/** Writes the samples where the product's own forecast takes them from. */
export function storeMeasurements(measured: Measurements): void {
  const path = new URL('../src/archive/capacity-measured.ts', import.meta.url);
  writeFileSync(
    path,
    `/** What \`npm run bench\` measured, for forecasts; written by \`npm run bench -- capacity FILE… --store\`. */\nimport type { Measurements } from './capacity.ts';\n\nexport const MEASURED: Measurements = ${JSON.stringify(measured, null, 2)};\n`,
  );
}
