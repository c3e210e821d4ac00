/** Which figures are drawn over the size of the archive. */
import { GOALS, QUERY_KINDS } from './goals.ts';
import type { Panel, Point } from './plot.ts';
import type { RunReport } from './report-file.ts';

type PanelPlan = { readonly title: string; readonly ids: readonly { readonly id: string; readonly label: string }[] };

const one = (id: string, title: string): PanelPlan => ({ title, ids: [{ id, label: title }] });

const PLANS: readonly PanelPlan[] = [
  {
    title: 'capture',
    ids: [
      { id: 'capture.ratio', label: 'durable' },
      { id: 'searchable.ratio', label: 'searchable' },
    ],
  },
  one('ack.p99', 'acknowledgement at half load, p99'),
  { title: 'search, p95', ids: QUERY_KINDS.map((kind) => ({ id: `search.${kind}.p95`, label: kind })) },
  one('proof.p95', 'inclusion proof, p95'),
  one('verify.rate', 'full verify'),
  one('rebuild.rate', 'rebuild of the index'),
  one('export.rate', 'export with proofs'),
  one('start.open', 'start'),
  {
    title: "server's memory, peak",
    ids: ['capturing', 'searching', 'exporting'].map((doing) => ({ id: `memory.${doing}`, label: doing })),
  },
  one('disk.total', 'disk, index included'),
];

/** Panels of all figures that the runs have. */
export function growthPanels(reports: readonly RunReport[]): Panel[] {
  return PLANS.flatMap(({ title, ids }) => {
    const series = ids.map(({ id, label }) => ({ label, points: pointsOf(reports, id) }));
    const drawn = series.filter(({ points }) => points.length > 0);
    if (drawn.length === 0) return [];
    const goal = GOALS.find((known) => known.id === ids[0]?.id);
    const unit = reports.flatMap(({ figures }) => figures).find(({ id }) => id === ids[0]?.id)?.unit ?? '';
    return [
      {
        title,
        unit,
        series: drawn,
        ...(goal === undefined ? {} : { floor: goal.floor }),
        ...(typeof goal?.goal === 'number' ? { goal: goal.goal } : {}),
      },
    ];
  });
}

/** A figure at each size; where several runs have it, the newest counts. */
export function pointsOf(reports: readonly RunReport[], id: string): Point[] {
  const points = new Map<number, Point>();
  for (const { messages, figures } of reports.toSorted((a, b) => a.machine.date.localeCompare(b.machine.date))) {
    const figure = figures.find((known) => known.id === id);
    if (figure === undefined) continue;
    const { spread } = figure;
    // Sizes that differ by what a load added are one size.
    const size = [...points.keys()].find((known) => Math.abs(Math.log(known / messages)) < 0.5) ?? messages;
    points.delete(size);
    points.set(messages, {
      x: messages,
      y: figure.value,
      ...(spread === undefined ? {} : { min: spread.min, max: spread.max }),
    });
  }
  return [...points.values()].toSorted((a, b) => a.x - b.x);
}
