/** Figures as people read them. */
import { formatNumber } from './figure.ts';
import type { Figure } from './figure.ts';
import { GOALS, judge } from './goals.ts';

/** One line: value, spread, ratio, bounds. @param figures all figures of the run so far */
export function formatFigure(figure: Figure, figures: readonly Figure[]): string {
  const { spread, baseline, ratio } = figure;
  const columns = [
    figure.what.padEnd(44),
    `${formatNumber(figure.value)} ${figure.unit}`.padStart(24),
    spread === undefined ? '' : `${formatNumber(spread.min)} to ${formatNumber(spread.max)} in ${spread.runs} runs`,
    ratio === undefined || baseline === undefined
      ? ''
      : `${formatNumber(ratio)} × ${baseline.what} (${formatNumber(baseline.value)})`,
    formatBounds(figure, figures),
  ];
  return columns.filter((column) => column !== '').join('   ');
}

function formatBounds(figure: Figure, figures: readonly Figure[]): string {
  const goal = GOALS.find(({ id }) => id === figure.id);
  if (goal === undefined) return '';
  const judged = judge(goal, figure.value, (id) => figures.find((other) => other.id === id)?.value);
  const wanted = judged.goal === undefined ? '-' : formatNumber(judged.goal);
  return `floor ${formatNumber(goal.floor)}, goal ${wanted}: ${judged.verdict === 'below floor' ? 'BELOW FLOOR' : judged.verdict}`;
}

/** Figures that miss their floor. */
export function belowFloor(figures: readonly Figure[]): Figure[] {
  return figures.filter((figure) => {
    const goal = GOALS.find(({ id }) => id === figure.id);
    return goal !== undefined && judge(goal, figure.value, () => undefined).verdict === 'below floor';
  });
}
