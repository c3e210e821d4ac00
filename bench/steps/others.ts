/** What others make of the same messages: PostgreSQL with GIN, notmuch (Xapian) and public-inbox; each where it is installed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isInstalled, makeMail, writeMails } from '../baselines/mail.ts';
import { openPostgres } from '../baselines/postgres.ts';
import { openBaseline, readFields } from '../baselines/sqlite.ts';
import type { Arrival } from '../baselines/sqlite.ts';
import { median, percentile, timeOf } from '../figure.ts';
import { makeEnvelope } from '../place.ts';
import type { BenchRun } from '../run.ts';
import { openShop } from '../texts/shop.ts';

/** Messages at most: enough for rates, and indexers of mail want a file for each. */
const MESSAGES_MAX = 100_000;
/** Searches of each query in one run. */
const ROUNDS = 20;
const QUERIES = ['needle17', 'order', '"your order"'] as const;

/** Measures each against plaintext SQLite, with the same messages in the same run. */
export async function measureOthers(run: BenchRun): Promise<void> {
  const { options, place, scratch } = run;
  const count = Math.min(MESSAGES_MAX, options.messages);
  const shop = openShop(options.seed + 500, count, options.mix);
  const arrivals = Array.from({ length: count }, (): Arrival => {
    const told = shop.next();
    return { told, envelope: makeEnvelope(place.known.sourceId, told) };
  });
  const directory = join(scratch, 'others');
  mkdirSync(directory);
  try {
    const sqlite = openBaseline(join(directory, 'sqlite.db'));
    const rate = arrivals.length / sqlite.store(arrivals);
    const searches = searchTimes((query) => sqlite.search(query));
    const baseline: Baselines = { rate, p50: percentile(await searches, 0.5) };
    sqlite.close();
    await measurePostgres(run, scratch, arrivals, baseline);
    const mails = join(directory, 'mails');
    if (isInstalled('notmuch')) {
      const written = writeMails(mails, arrivals);
      await measureNotmuch(run, directory, mails, written, baseline);
    } else run.miss('notmuch: not installed');
    if (isInstalled('public-inbox-index')) await measurePublicInbox(run, directory, arrivals, baseline);
    else run.miss('public-inbox: not installed');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type Baselines = { readonly rate: number; readonly p50: number };

async function measurePostgres(
  run: BenchRun,
  directory: string,
  arrivals: readonly Arrival[],
  baseline: Baselines,
): Promise<void> {
  const postgres = await openPostgres(directory);
  if (postgres === undefined) return run.miss('PostgreSQL: not installed');
  try {
    const ms = await timeOf(() => postgres.store(arrivals));
    const times = await searchTimes((query) => postgres.search(query));
    note(run, 'postgres', `PostgreSQL ${postgres.version} + GIN`, arrivals.length / (ms / 1000), times, baseline);
  } finally {
    await postgres.close();
  }
}

async function measureNotmuch(
  run: BenchRun,
  directory: string,
  mails: string,
  written: number,
  baseline: Baselines,
): Promise<void> {
  const config = join(directory, 'notmuch-config');
  writeFileSync(
    config,
    `[database]\npath=${mails}\n[user]\nname=Bench\nprimary_email=shop@sms.example\n[new]\ntags=\n`,
  );
  const env = { ...process.env, NOTMUCH_CONFIG: config };
  const ms = await timeOf(() => execFileSync('notmuch', ['new', '--quiet'], { env, stdio: 'ignore' }));
  // A process for each search: that is how it is used.
  const times = await searchTimes((query) =>
    execFileSync('notmuch', ['search', '--limit=50', '--output=messages', query], { env }),
  );
  note(run, 'notmuch', 'notmuch (a process for each search)', written / (ms / 1000), times, baseline);
}

/** Fills a git repository by `git fast-import` as its writer would leave it, then indexes it. @source public-inbox-v2-format(5) */
async function measurePublicInbox(
  run: BenchRun,
  directory: string,
  arrivals: readonly Arrival[],
  baseline: Baselines,
): Promise<void> {
  const inbox = join(directory, 'inbox');
  const env = { ...process.env, PI_CONFIG: join(directory, 'inbox-config'), HOME: directory };
  const quiet = { env, stdio: 'ignore' } as const;
  execFileSync(
    'public-inbox-init',
    ['-V2', '--skip-docdata', '-L', 'full', 'bench', inbox, 'http://sms.example/bench', 'shop@sms.example'],
    quiet,
  );
  const mbox = arrivals.flatMap(({ told }, index) => {
    const { sender, text } = readFields(told);
    return text === null ? [] : [commitOf(makeMail(told.key, sender ?? '', told.atMs, text), told.atMs, index)];
  });
  const repository = join(inbox, 'git', '0.git');
  execFileSync('git', ['init', '-q', '--bare', repository], quiet);
  execFileSync('git', [`--git-dir=${repository}`, 'fast-import', '--quiet'], {
    env,
    input: mbox.join(''),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ms = await timeOf(() => execFileSync('public-inbox-index', ['-L', 'full', inbox], quiet));
  note(run, 'public-inbox', 'public-inbox, index', mbox.length / (ms / 1000), undefined, baseline);
}

/** One commit that holds one mail. @source git-fast-import(1) */
function commitOf(mail: string, atMs: number, index: number): string {
  const seconds = Math.floor(atMs / 1000);
  const who = `Bench <bench@sms.example> ${seconds} +0000`;
  const parent = index === 0 ? '' : 'from refs/heads/master^0\n';
  const bytes = Buffer.byteLength(mail);
  return `commit refs/heads/master\nauthor ${who}\ncommitter ${who}\ndata 3\nsms\n${index === 0 ? parent : ''}M 100644 inline m\ndata ${bytes}\n${mail}\n`;
}

/** Milliseconds of each search, after one of each for warming up. */
async function searchTimes(search: (query: string) => unknown): Promise<number[]> {
  for (const query of QUERIES) await search(query);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    for (const query of QUERIES) times.push(await timeOf(() => search(query)));
  return times;
}

function note(
  run: BenchRun,
  id: string,
  what: string,
  rate: number,
  times: readonly number[] | undefined,
  baseline: Baselines,
): void {
  const name = 'plaintext SQLite + FTS5';
  run.note({
    id: `others.${id}.rate`,
    what: `${what}, stored and indexed`,
    unit: 'messages/s',
    better: 'more',
    value: rate,
    baseline: { what: name, value: baseline.rate },
  });
  if (times === undefined) return;
  run.note({
    id: `others.${id}.search`,
    what: `${what}, search, p50`,
    unit: 'ms',
    better: 'less',
    value: median(times),
    baseline: { what: name, value: baseline.p50 },
  });
}
