/** Tables for docs/performance.md, from what runs left. Reasons are written by hand. */
import { formatNumber } from './figure.ts';
import type { Figure } from './figure.ts';
import { GOALS, judge } from './goals.ts';
import { formatLoad, formatMachine } from './report-file.ts';
import type { RunReport } from './report-file.ts';

/** The goals with each run's figure, and every figure of each run. */
export function toMarkdown(reports: readonly RunReport[]): string {
  const sorted = reports.toSorted((a, b) => a.messages - b.messages);
  return [goalsTable(sorted), ...sorted.map(runTable)].join('\n\n');
}

function goalsTable(reports: readonly RunReport[]): string {
  const sizes = reports.map(({ messages }) => `${messages.toLocaleString('en')} messages`);
  const head = `| what | floor | goal | ${sizes.join(' | ')} |\n|---|---|---|${sizes.map(() => '---|').join('')}`;
  const rows = GOALS.map((goal) => {
    const cells = reports.map(({ figures }) => {
      const value = (id: string): number | undefined => figures.find((figure) => figure.id === id)?.value;
      const own = value(goal.id);
      return own === undefined ? '–' : `${formatNumber(own)}: ${judge(goal, own, value).verdict}`;
    });
    const wanted = typeof goal.goal === 'number' ? formatNumber(goal.goal) : `${goal.goal.times} × \`${goal.goal.of}\``;
    return `| ${goal.what}, ${goal.unit} | ${formatNumber(goal.floor)} | ${wanted} | ${cells.join(' | ')} |`;
  });
  return `${head}\n${rows.join('\n')}`;
}

function runTable({ command, machine, load, messages, records, mix, figures, missing }: RunReport): string {
  const rows = figures.map(
    (figure) =>
      `| ${figure.what} | ${formatNumber(figure.value)} ${figure.unit} | ${spreadOf(figure)} | ${baselineOf(figure)} |`,
  );
  const gaps = missing.map((what) => `Not measured: ${what}.`);
  return [
    `\`${command}\`: ${messages.toLocaleString('en')} messages (${mix}), ${records.toLocaleString('en')} records. ${formatMachine(machine)}; load ${formatLoad(load.before)} before, ${formatLoad(load.after)} after.`,
    `| what | value | spread | against |\n|---|---|---|---|\n${rows.join('\n')}`,
    ...gaps,
  ].join('\n\n');
}

function spreadOf({ spread }: Figure): string {
  return spread === undefined ? '' : `${formatNumber(spread.min)} to ${formatNumber(spread.max)}, ${spread.runs} runs`;
}

function baselineOf({ baseline, ratio }: Figure): string {
  return baseline === undefined || ratio === undefined
    ? ''
    : `${formatNumber(ratio)} × ${baseline.what} (${formatNumber(baseline.value)})`;
}
