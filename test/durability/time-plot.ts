/** Draws how figures went over time: one small panel each, from nought, as one SVG. */

export type TimePanel = { readonly title: string; readonly values: readonly number[] };

const WIDTH = 340;
const HEIGHT = 150;
const COLUMNS = 2;
const BOX = { left: 50, right: 12, top: 28, bottom: 24 };

/** @param seconds of each value; panels have a value for each */
export function plotOverTime(seconds: readonly number[], panels: readonly TimePanel[]): string {
  const last = Math.max(1, ...seconds);
  const drawn = panels.map(({ title, values }, index) => {
    const top = Math.max(...values, Number.MIN_VALUE) * 1.1;
    const toX = (second: number): number => round(BOX.left + (second / last) * (WIDTH - BOX.left - BOX.right));
    const toY = (value: number): number => round(HEIGHT - BOX.bottom - (value / top) * (HEIGHT - BOX.top - BOX.bottom));
    const line = values.map((value, at) => `${at === 0 ? 'M' : 'L'}${toX(seconds[at] ?? 0)} ${toY(value)}`).join('');
    const most = Math.max(...values);
    const place = `translate(${(index % COLUMNS) * WIDTH} ${Math.floor(index / COLUMNS) * HEIGHT})`;
    return `<g transform="${place}"><text x="${BOX.left}" y="18">${title}</text><path class="a" d="M${BOX.left} ${BOX.top}V${toY(0)}H${toX(last)}"/><text class="n" x="${BOX.left - 4}" y="${toY(most) + 4}">${Number(most.toPrecision(3))}</text><text class="n" x="${BOX.left - 4}" y="${toY(0)}">0</text><text class="n" x="${toX(last)}" y="${HEIGHT - 8}">${Math.round(last / 60)} min</text><path class="l" d="${line}"/></g>`;
  });
  const rows = Math.ceil(panels.length / COLUMNS);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * COLUMNS} ${HEIGHT * rows}" role="img"><style>text{font:11px system-ui,sans-serif;fill:#777}.n{text-anchor:end}.a{stroke:#999;fill:none}.l{stroke:#2f7ed8;fill:none;stroke-width:1.5}</style>\n${drawn.join('\n')}\n</svg>\n`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
