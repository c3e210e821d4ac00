/**
 * How far an archive will carry: what was measured at some sizes, continued to a larger one. Pure arithmetic; who measures is elsewhere.
 *
 * A figure is taken to grow as a power of the number of records, `value = factor × records^exponent`, fitted by least squares over the logarithms. With one size alone the
 * exponent is assumed, and the forecast says so.
 */

/** A figure at one size. */
export type Sample = { readonly records: number; readonly value: number };

/** A fit, and between which sizes it was measured. */
export type Fit = {
  readonly factor: number;
  readonly exponent: number;
  readonly sizes: number;
  readonly recordsMin: number;
  readonly recordsMax: number;
};

/** How much a forecast is worth, in words. */
export type Confidence = 'measured' | 'likely' | 'rough' | 'assumed';

export type Forecast = { readonly value: number; readonly confidence: Confidence };

/** Beyond so many times the largest size that was measured a forecast is rough. */
const LIKELY_TIMES_MAX = 30;

/**
 * Fits a power.
 * @param assumedExponent where there is only one size
 * @returns undefined where there is no sample
 */
export function fitPower(samples: readonly Sample[], assumedExponent = 1): Fit | undefined {
  const good = samples.filter(({ records, value }) => records > 0 && value > 0);
  const sizes = new Set(good.map(({ records }) => records)).size;
  if (sizes === 0) return undefined;
  const xs = good.map(({ records }) => Math.log(records));
  const ys = good.map(({ value }) => Math.log(value));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanX = mean(xs);
  const meanY = mean(ys);
  const spread = mean(xs.map((x) => (x - meanX) ** 2));
  const slope = mean(xs.map((x, index) => (x - meanX) * ((ys[index] ?? 0) - meanY))) / spread;
  // What was measured a little better at a larger size is chance, and no promise.
  const exponent = sizes === 1 ? assumedExponent : Math.max(0, slope);
  const records = good.map((sample) => sample.records);
  return {
    factor: Math.exp(meanY - exponent * meanX),
    exponent,
    sizes,
    recordsMin: Math.min(...records),
    recordsMax: Math.max(...records),
  };
}

/** Continues a fit to a size. */
export function forecast(fit: Fit, records: number): Forecast {
  const value = fit.factor * records ** fit.exponent;
  const beyond = records / fit.recordsMax;
  if (fit.sizes === 1 && beyond > 2) return { value, confidence: 'assumed' };
  if (beyond <= 2) return { value, confidence: 'measured' };
  return { value, confidence: beyond <= LIKELY_TIMES_MAX ? 'likely' : 'rough' };
}

/** Figures that a forecast is about, with the power that each is taken to grow by where one size alone was measured. */
export const CAPACITY_FIGURES = [
  { name: 'search', what: 'search, p95 of the slowest kind', unit: 'ms', exponent: 0.1 },
  { name: 'start', what: 'start', unit: 's', exponent: 0.3 },
  { name: 'verify', what: 'full verify', unit: 's', exponent: 1 },
  { name: 'backup', what: 'backup', unit: 's', exponent: 1 },
  { name: 'restore', what: 'restore', unit: 's', exponent: 1 },
  { name: 'rebuild', what: 'rebuild of the index', unit: 's', exponent: 1 },
  { name: 'disk', what: 'disk', unit: 'bytes', exponent: 1 },
] as const;

export type FigureName = (typeof CAPACITY_FIGURES)[number]['name'];

/** What was measured, where and when. */
export type Measurements = {
  readonly date: string;
  readonly machine: string;
  /** Texts that one machine acknowledges a second. */
  readonly textsPerSecond: number;
  /** Records that one text of a shop comes to, its states included. */
  readonly recordsPerText: number;
  readonly samples: Readonly<Partial<Record<FigureName, readonly Sample[]>>>;
};

/** How an archive grows. */
export type Growth = { readonly recordsNow: number; readonly recordsPerMonth: number; readonly years: number };

export type CapacityLine = {
  readonly name: FigureName;
  readonly what: string;
  readonly unit: string;
  readonly now: number;
  readonly ahead: number;
  readonly confidence: Confidence;
  readonly exponent: number;
};

/** Every figure that was measured, now and at the end. */
export function forecastAll(measured: Measurements, { recordsNow, recordsPerMonth, years }: Growth): CapacityLine[] {
  const end = recordsNow + recordsPerMonth * 12 * years;
  return CAPACITY_FIGURES.flatMap(({ name, what, unit, exponent }) => {
    const fit = fitPower(measured.samples[name] ?? [], exponent);
    if (fit === undefined) return [];
    const { value, confidence } = forecast(fit, end);
    const now = recordsNow === 0 ? 0 : forecast(fit, recordsNow).value;
    return [{ name, what, unit, now, ahead: value, confidence, exponent: fit.exponent }];
  });
}

/** A bound of one machine. */
export type Bound = {
  readonly name: string;
  /** In plain words, with its figure. */
  readonly rule: string;
  /** Months from now until it is reached: 0 now, `never` not within the years asked for, `unknown` where nothing was measured of it. */
  readonly inMonths: number | 'never' | 'unknown';
};

const NIGHT_SECONDS = 8 * 3600;
const BACKUP_WINDOW_SECONDS = 4 * 3600;
/** Part of the disk that may be full: an index is built beside the old one, a backup may lie there for a while. */
const DISK_SHARE_MAX = 0.7;
/** Texts in the busiest second against those of an average one: sales and reminders go out all at once. An assumption. */
export const PEAK_FACTOR = 50;
const SECONDS_A_MONTH = 30.44 * 86_400;

/** When one machine is no longer enough. @param diskBytes size of the disk that the data is on */
export function findBounds(measured: Measurements, growth: Growth, diskBytes: number | undefined): Bound[] {
  const months = growth.years * 12;
  const reach = (name: FigureName, most: number): Bound['inMonths'] => {
    const known = CAPACITY_FIGURES.find((figure) => figure.name === name);
    const fit = fitPower(measured.samples[name] ?? [], known?.exponent);
    if (fit === undefined) return 'unknown';
    for (let month = 0; month <= months; month += 1)
      if (forecast(fit, growth.recordsNow + month * growth.recordsPerMonth).value > most) return month;
    return 'never';
  };
  const peak = (growth.recordsPerMonth / measured.recordsPerText / SECONDS_A_MONTH) * PEAK_FACTOR;
  const half = measured.textsPerSecond / 2;
  return [
    {
      name: 'rate',
      rule: `texts at peak (${peak.toFixed(1)} a second, ${PEAK_FACTOR} × the average) exceed half of what one machine acknowledges (${Math.round(half)} a second)`,
      inMonths: peak > half ? 0 : 'never',
    },
    {
      name: 'verify',
      rule: 'a full verify takes longer than a night (8 hours)',
      inMonths: reach('verify', NIGHT_SECONDS),
    },
    { name: 'backup', rule: 'a backup takes longer than 4 hours', inMonths: reach('backup', BACKUP_WINDOW_SECONDS) },
    ...(diskBytes === undefined
      ? []
      : [
          {
            name: 'disk',
            rule: `the archive fills 70 % of its disk (${formatBytes(diskBytes)})`,
            inMonths: reach('disk', diskBytes * DISK_SHARE_MAX),
          },
        ]),
  ];
}

/** Bytes as people read them. */
export function formatBytes(bytes: number): string {
  for (const [size, name] of [
    [1e12, 'TB'],
    [1e9, 'GB'],
    [1e6, 'MB'],
  ] as const)
    if (bytes >= size) return `${(bytes / size).toPrecision(3)} ${name}`;
  return `${Math.round(bytes / 1e3)} kB`;
}
