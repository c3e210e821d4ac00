/** Small plots of how figures grow with the archive, as one SVG that reads well on light and on dark ground. */

/** A measurement at one size of archive; `min` and `max` over its runs. */
export type Point = { readonly x: number; readonly y: number; readonly min?: number; readonly max?: number };
/** `dashed` points are extrapolated. */
export type Series = { readonly label: string; readonly points: readonly Point[]; readonly dashed?: boolean };
export type Panel = {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly Series[];
  readonly floor?: number;
  readonly goal?: number;
  /** Cost that spans decades is drawn on a logarithmic axis. */
  readonly logY?: boolean;
};

const WIDTH = 360;
const HEIGHT = 240;
const COLUMNS = 2;
const BOX = { left: 56, right: 16, top: 40, bottom: 34 };
const COLOURS = ['#2f7ed8', '#d9622b', '#2c9c5e', '#a455c4', '#b8860b', '#c43b5e', '#4f8a8b'];

const STYLE = `text{font:11px system-ui,sans-serif;fill:#333}.t{font-weight:600;font-size:12px}.a{stroke:#999;fill:none}.g{stroke:#ddd}.b{stroke-dasharray:4 3;fill:none}
@media(prefers-color-scheme:dark){text{fill:#ddd}.a{stroke:#888}.g{stroke:#444}}`;

/** Draws panels in two columns. @throws Error where a panel has no point */
export function plot(panels: readonly Panel[], title: string): string {
  const rows = Math.ceil(panels.length / COLUMNS);
  const width = WIDTH * Math.min(COLUMNS, panels.length);
  const height = HEIGHT * rows;
  const drawn = panels.map((panel, index) => {
    const x = (index % COLUMNS) * WIDTH;
    const y = Math.floor(index / COLUMNS) * HEIGHT;
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}"><title>${escapeXml(title)}</title><style>${STYLE}</style>\n${drawn.join('\n')}\n</svg>\n`;
}

function drawPanel(panel: Panel): string {
  const points = panel.series.flatMap((series) => series.points);
  if (points.length === 0) throw new Error(`nothing to draw for "${panel.title}"`);
  const toX = scaleX(points.map(({ x }) => x));
  const { toY, ticks } = scaleY(panel, points);
  const right = WIDTH - BOX.right;
  const base = HEIGHT - BOX.bottom;
  const parts = [
    `<text class="t" x="${BOX.left}" y="16">${escapeXml(panel.title)}, ${escapeXml(panel.unit)}</text>`,
    ...ticks.map(
      (tick) =>
        `<line class="g" x1="${BOX.left}" x2="${right}" y1="${toY(tick)}" y2="${toY(tick)}"/><text x="${BOX.left - 6}" y="${toY(tick) + 4}" text-anchor="end">${formatTick(tick)}</text>`,
    ),
    `<path class="a" d="M${BOX.left} ${BOX.top}V${base}H${right}"/>`,
    ...decades(points.map(({ x }) => x)).map(
      (x) =>
        `<line class="a" x1="${toX(x)}" x2="${toX(x)}" y1="${base}" y2="${base + 4}"/><text x="${toX(x)}" y="${base + 16}" text-anchor="middle">${formatTick(x)}</text>`,
    ),
    `<text x="${right}" y="${HEIGHT - 4}" text-anchor="end">messages</text>`,
    ...drawBound('floor', panel.floor, '#c0392b', toY, right),
    ...drawBound('goal', panel.goal, '#27873f', toY, right),
    ...panel.series.map((series, index) => drawSeries(series, COLOURS[index % COLOURS.length] ?? '#888', toX, toY)),
    drawLegend(panel.series),
  ];
  return parts.join('');
}

type Scale = (value: number) => number;

function scaleX(values: readonly number[]): Scale {
  const low = Math.log10(Math.min(...values)) - 0.15;
  const high = Math.log10(Math.max(...values)) + 0.15;
  const wide = WIDTH - BOX.left - BOX.right;
  return (value) => round(BOX.left + ((Math.log10(value) - low) / (high - low)) * wide);
}

/** From nought, or from the decade below the least; as far as the values, and bounds that are not far off. */
function scaleY(panel: Panel, points: readonly Point[]): { readonly toY: Scale; readonly ticks: readonly number[] } {
  const values = points.flatMap(({ y, min, max }) => [y, min ?? y, max ?? y]);
  const most = Math.max(...values);
  const bounds = [panel.floor, panel.goal].filter((bound) => bound !== undefined);
  const top = Math.max(most, ...bounds.filter((bound) => bound <= most * 4)) * 1.08;
  const tall = HEIGHT - BOX.top - BOX.bottom;
  if (panel.logY === true) {
    const low = Math.floor(Math.log10(Math.max(Number.MIN_VALUE, Math.min(...values))));
    const high = Math.max(low + 1, Math.ceil(Math.log10(top)));
    const toY: Scale = (value) => round(HEIGHT - BOX.bottom - ((Math.log10(value) - low) / (high - low)) * tall);
    return { toY, ticks: Array.from({ length: high - low + 1 }, (_none, index) => 10 ** (low + index)) };
  }
  const step = niceStep(top / 4);
  const ticks = Array.from({ length: Math.floor(top / step) + 1 }, (_none, index) => index * step);
  return { toY: (value) => round(HEIGHT - BOX.bottom - (value / top) * tall), ticks };
}

function drawSeries({ points, dashed }: Series, colour: string, toX: Scale, toY: Scale): string {
  const sorted = points.toSorted((a, b) => a.x - b.x);
  const path = sorted.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${toX(x)} ${toY(y)}`).join('');
  const dash = dashed === true ? ' stroke-dasharray="2 3"' : '';
  const spreads = sorted.map(({ x, min, max }) =>
    min === undefined || max === undefined ? '' : `M${toX(x)} ${toY(min)}V${toY(max)}`,
  );
  const dots = sorted.map(({ x, y }) => `<circle cx="${toX(x)}" cy="${toY(y)}" r="3" fill="${colour}"/>`);
  return `<path d="${path}${spreads.join('')}" fill="none" stroke="${colour}" stroke-width="1.6"${dash}/>${dots.join('')}`;
}

function drawBound(name: string, at: number | undefined, colour: string, toY: Scale, right: number): string[] {
  if (at === undefined || toY(at) < BOX.top) return [];
  return [
    `<path class="b" d="M${BOX.left} ${toY(at)}H${right}" stroke="${colour}"/><text x="${right}" y="${toY(at) - 3}" text-anchor="end">${name} ${formatTick(at)}</text>`,
  ];
}

/** Names of the lines, where there are several. */
function drawLegend(series: readonly Series[]): string {
  if (series.length < 2) return '';
  let x = BOX.left;
  const names = series.map(({ label }, index) => {
    const name = `<circle cx="${x + 3}" cy="28" r="3" fill="${COLOURS[index % COLOURS.length] ?? '#888'}"/><text x="${x + 9}" y="31" style="font-size:9px">${escapeXml(label)}</text>`;
    x += 14 + label.length * 4.7;
    return name;
  });
  return names.join('');
}

function decades(values: readonly number[]): number[] {
  const from = Math.floor(Math.log10(Math.min(...values)) + 0.05);
  const to = Math.ceil(Math.log10(Math.max(...values)) - 0.05);
  const least = Math.log10(Math.min(...values)) - 0.15;
  const most = Math.log10(Math.max(...values)) + 0.15;
  return Array.from({ length: to - from + 1 }, (_none, index) => 10 ** (from + index)).filter(
    (value) => Math.log10(value) >= least && Math.log10(value) <= most,
  );
}

function niceStep(rough: number): number {
  const unit = 10 ** Math.floor(Math.log10(rough));
  const [step = 10] = [1, 2, 5, 10].filter((multiple) => multiple * unit >= rough);
  return step * unit;
}

function formatTick(value: number): string {
  for (const [size, name] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const)
    if (value >= size) return `${Number((value / size).toPrecision(3))}${name}`;
  return String(Number(value.toPrecision(3)));
}

const round = (value: number): number => Math.round(value * 10) / 10;

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
