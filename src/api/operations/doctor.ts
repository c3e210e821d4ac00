/** Diagnosis, step by step from the internet to the search result: what is well, what is not, and what to do about it. */
import { stat } from 'node:fs/promises';

import { z } from 'zod';

import { within } from '../../jobs/within.ts';
import type { Caller } from '../../archive/caller.ts';
import { parseSignedCheckpoint } from '../../ledger/checkpoint.ts';
import type { SpoolState } from '../../capture/spool.ts';
import { CartularyError, ERRORS } from '../../model/errors.ts';
import { assertNotPlaintext } from '../../vault/page-encryption.ts';
import { version } from '../../version.ts';
import { CARE_STEPS } from '../doctor/care.ts';
import type { Check, Step } from '../doctor/check.ts';
import { MACHINE_STEPS } from '../doctor/machine.ts';
import { WAY_IN } from '../doctor/way-in.ts';
import { defineOperation } from '../operation.ts';
import type { Edge } from '../edge.ts';
import type { Face, Service } from '../service.ts';
import { describeNode } from './nodes.ts';

export type { Check } from '../doctor/check.ts';

/** Who is on record for the search. */
const DOCTOR: Caller = { kind: 'local', user: 'doctor' };

/** The archive itself, after the way to it (`doctor/way-in.ts`) and the machine under it (`doctor/machine.ts`). */
const ARCHIVE_STEPS: readonly Step[] = [
  { name: 'root key', msMax: 10_000, look: probeRoot },
  { name: 'data directory', msMax: 10_000, look: probeDirectory },
  { name: 'page encryption', msMax: 10_000, look: probePages },
  { name: 'media', msMax: 60_000, look: probeMedia },
  { name: 'jobs', msMax: 30_000, look: probeJobs },
  { name: 'log', msMax: 120_000, look: probeLog },
  { name: 'search index', msMax: 1_800_000, look: probeIndex },
  { name: 'search', msMax: 60_000, look: probeSearch },
];

const TOLD_STEPS: readonly Step[] = [
  { name: 'nodes', msMax: 10_000, look: probeNodes },
  { name: 'spool', msMax: 10_000, look: probeSpool },
  { name: 'relays', msMax: 10_000, look: probeRelays },
  { name: 'alert routes', msMax: 10_000, look: async (service) => probeRoutes(service) },
  { name: 'alerts', msMax: 10_000, look: async (service) => probeAlerts(service) },
];

/** From the internet to the search result. */
const STEPS: readonly Step[] = [
  WAY_IN,
  { name: 'signatures', msMax: 30_000, look: probeSignatures },
  ...MACHINE_STEPS,
  ...ARCHIVE_STEPS,
  ...CARE_STEPS,
  ...TOLD_STEPS,
];

async function probeRoot({ house }: Service): Promise<Check> {
  return {
    name: 'root key',
    state: house.root.location.startsWith(house.layout.directory) ? 'warning' : 'ok',
    text: `${house.root.kind} at ${house.root.location}. ${house.root.whoCanRead}`,
    hint: 'Keep the root key on another disk (CARTULARY_KEYS=file:PATH) or protect it by a passphrase (CARTULARY_PASSPHRASE_FILE).',
  };
}

async function probeDirectory({ house }: Service): Promise<Check> {
  const name = 'data directory';
  const { mode } = await stat(house.layout.directory);
  return (mode & 0o077) === 0
    ? { name, state: 'ok', text: 'only its owner can enter it' }
    : { name, state: 'warning', text: 'others can enter it', hint: `chmod 700 ${house.layout.directory}` };
}

async function probePages({ archive, settings }: Service): Promise<Check> {
  const name = 'page encryption';
  if (settings.database !== undefined)
    return { name, state: 'ok', text: 'the records are in PostgreSQL, each sealed by itself' };
  assertNotPlaintext(archive.layout.database);
  return { name, state: 'ok', text: 'the database shows no plaintext header' };
}

async function probeLog({ archive }: Service): Promise<Check> {
  const records = await archive.size();
  const { size } = parseSignedCheckpoint(await archive.publish());
  return { name: 'log', state: 'ok', text: `signed just now, over ${size} of ${records} records` };
}

async function probeJobs({ archive }: Service): Promise<Check> {
  const jobs = await archive.countJobs();
  const text = jobs.length === 0 ? 'none wait' : jobs.map(({ kind, waiting }) => `${waiting} ${kind}`).join(', ');
  return { name: 'jobs', state: 'ok', text };
}

/** The last step of the way: what somebody who asks is given, and how soon. */
async function probeSearch({ archive }: Service): Promise<Check> {
  const beganMs = performance.now();
  const { total, items } = await archive.search(DOCTOR, { q: '', limit: 1 });
  const ms = Math.round(performance.now() - beganMs);
  const [newest] = items;
  if (newest === undefined) return { name: 'search', state: 'ok', text: 'no message is here yet' };
  return {
    name: 'search',
    state: 'ok',
    text: `the newest of ${total} messages, captured ${newest.capturedAt}, is found within ${ms} ms`,
  };
}

async function probeSignatures(service: Service): Promise<Check> {
  const counts = await Promise.all(
    service.archive.registry
      .listSources()
      .filter(({ removedAtMs }) => removedAtMs === undefined)
      .map(async (source) => ({
        source,
        ...(await service.ring.count(source.id)),
        damaged: await service.ring.listDamaged(source.id),
      })),
  );
  const damaged = counts.flatMap((count) => count.damaged);
  if (damaged.length > 0)
    return {
      name: 'signatures',
      state: 'failed',
      text: `${damaged.length} refused request(s) that were kept cannot be opened any more`,
      hint: `Remove them: rm ${damaged.slice(0, 10).join(' ')}`,
    };
  const bad = counts.filter(({ waiting, refused }) => waiting + refused > 0);
  return bad.length === 0
    ? { name: 'signatures', state: 'ok', text: `${counts.length} source(s), none refused` }
    : {
        name: 'signatures',
        state: 'warning',
        text: bad
          .map(({ source, waiting, refused }) => `${source.name}: ${refused} refused since the start, ${waiting} kept`)
          .join('; '),
        hint: 'If the secret is wrong, give the right one with "cartulary source secret ID --secret S"; what waits is then taken in.',
      };
}

async function probeAlerts({ lead }: Service): Promise<Check> {
  const open = (await lead.alertsFor('reading')).listAlerts().filter(({ resolvedAtMs }) => resolvedAtMs === undefined);
  const waiting = open.filter(({ acknowledged }) => acknowledged === undefined).length;
  return open.length === 0
    ? { name: 'alerts', state: 'ok', text: 'none is open' }
    : {
        name: 'alerts',
        state: 'warning',
        text: `${open.length} open, ${waiting} of them acknowledged by nobody: ${[...new Set(open.map(({ code }) => code))].join(', ')}`,
        hint: 'See "cartulary alert list".',
      };
}

/** A name that no blob has. */
const NO_BLOB = '0'.repeat(64);

/** Where the media are: can it be reached, and what was found out about it. */
async function probeMedia({ archive, settings }: Service): Promise<Check> {
  const name = 'media';
  if (settings.blobs === undefined) return { name, state: 'ok', text: 'in the data directory' };
  try {
    await archive.blobs.has(NO_BLOB);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : 'the bucket cannot be reached';
    return { name, state: 'failed', text, hint: 'Check CARTULARY_BLOBS, the credentials and the S3 server.' };
  }
  const report = await archive.findBlobReport();
  if (report === undefined)
    return { name, state: 'failed', text: 'the bucket was never tried', hint: 'Start again while it can be reached.' };
  const { bucket, versioning, objectLock, failed, checksums, defaultRetentionDays } = report;
  const text = `bucket ${bucket}: versions ${versioning}, Object Lock ${objectLock}, checksums ${checksums}`;
  if (objectLock === 'not honoured')
    return {
      name,
      state: 'failed',
      text: `${text}; it does not do this: ${failed.join(', ')}`,
      hint: 'The server says that it locks and does not. Use another one where something must be kept from its own operators.',
    };
  if (defaultRetentionDays !== undefined)
    return {
      name,
      state: 'warning',
      text: `${text}; it locks everything for ${defaultRetentionDays} days`,
      hint: 'Take the default retention off the bucket: until then what was destroyed cannot be removed from it, though nobody can read it.',
    };
  if (objectLock === 'off')
    return {
      name,
      state: 'warning',
      text,
      hint: 'Whoever has the credentials can remove media. A bucket made with Object Lock can keep them from that.',
    };
  return { name, state: 'ok', text };
}

/** The search index: every message that should be found against every message that can be. */
async function probeIndex(service: Service): Promise<Check> {
  const name = 'search index';
  const hint = 'Run "cartulary rebuild".';
  try {
    const index = await service.archive.compareIndex();
    const found = `${index.indexed} of ${index.expected} messages can be found`;
    if (index.ok) return { name, state: 'ok', text: found };
    const { missingCount, extraCount, unsoundMonths } = index;
    const unsound = unsoundMonths.length === 0 ? '' : `; gone, damaged or an old copy: ${unsoundMonths.join(', ')}`;
    const text = `${found}; ${missingCount} missing, ${extraCount} too many${unsound}`;
    return { name, state: 'failed', text, hint };
  } catch (cause) {
    return { name, state: 'failed', text: cause instanceof Error ? cause.message : 'it cannot be read', hint };
  }
}

/** Whether something was acknowledged that is not filed yet. */
async function probeSpool({ spool, keeping, now }: Edge): Promise<Check> {
  const name = 'spool';
  if (spool === undefined) return { name, state: 'ok', text: 'none is needed: the records are on this machine' };
  const state = spool.state();
  const found = describeWaiting(name, state, now());
  if (found.state !== 'warning' || !keeping.isSpooling()) return found;
  return { ...found, state: 'failed', hint: 'They are filed by themselves once the archive can be written to.' };
}

/** What waits where the archive is not open. A relay is fetched from: that something waits for a moment is as it should be. */
async function probeClosed(face: Face): Promise<Check> {
  const edge = face.edge();
  if (face.relay === undefined || edge.spool === undefined) return probeSpool(edge);
  return describeWaiting('spool', edge.spool.state(), edge.now());
}

/** @param name of the step */
function describeWaiting(
  name: string,
  { envelopes, bytes, bytesMax, oldestMs, damaged }: SpoolState,
  nowMs: number,
): Check {
  if (damaged > 0)
    return {
      name,
      state: 'failed',
      text: `${damaged} file(s) of the spool cannot be opened, and were put aside as .damaged`,
      hint: 'What is in them was acknowledged and is not in the archive: keep the files, look at the disk (dmesg), and ask the platforms for that time again.',
    };
  if (oldestMs === undefined) return { name, state: 'ok', text: 'nothing waits' };
  const text = `${envelopes} envelope(s) wait, ${bytes} of at most ${bytesMax} bytes, the oldest for ${Math.round((nowMs - oldestMs) / 1000)} s`;
  return { name, state: 'warning', text, hint: 'They are being filed; look again in a minute.' };
}

/** Whether what relays take in arrives. */
async function probeRelays({ relays, lead, now }: Service): Promise<readonly Check[]> {
  const name = 'relays';
  const known = relays.list();
  if (known.length === 0) return [{ name, state: 'ok', text: 'there is none' }];
  if (!lead.isHere()) return [{ name, state: 'ok', text: `${known.length}, which another node fetches from` }];
  return known.map(({ relay, heardMs, failure, spool }): Check => {
    const own = `relay ${relay.name}`;
    if (failure !== undefined || heardMs === undefined)
      return {
        name: own,
        state: 'failed',
        text: `${failure ?? 'it was not heard of yet'}${heardMs === undefined ? '' : `; last heard of ${new Date(heardMs).toISOString()}`}`,
        hint: `Look whether it runs, whether this machine reaches ${relay.url}, and at its edge key. What it takes in meanwhile waits on its disk.`,
      };
    const nothing = { name: own, state: 'ok', text: 'it answers' } as const;
    return spool === undefined ? nothing : describeWaiting(own, spool, now());
  });
}

/** Whether all nodes are there, where the archive has several. */
async function probeNodes({ archive, now }: Service): Promise<Check> {
  const name = 'nodes';
  const size = await archive.size();
  const nodes = (await archive.listNodes()).map((node) => describeNode(node, { nowMs: now(), size }));
  if (nodes.length === 0) return { name, state: 'ok', text: 'one, which shares with no other' };
  const silent = nodes.filter(({ state }) => state === 'silent');
  const text = `${nodes.filter(({ state }) => state === 'running').length} running`;
  if (silent.length > 0)
    return {
      name,
      state: 'failed',
      text: `${text}, ${silent.map((node) => `${node.name} silent since ${node.seenAt}`).join(', ')}`,
      hint: 'Start it again on its machine. What waits in its spool is there and nowhere else; it holds nothing else that the others need.',
    };
  const troubled = nodes.filter(({ state, problems }) => state === 'running' && problems.length > 0);
  if (troubled.length > 0)
    return {
      name,
      state: 'warning',
      text: `${text}; ${troubled.map((node) => `${node.name}: ${node.problems.join(', ')}`).join('; ')}`,
      hint: 'Run "cartulary doctor" on that machine; docs/operate/alerts.md says what each means.',
    };
  return { name, state: 'ok', text };
}

/** Whether anybody hears of it when something is wrong. */
async function probeRoutes({ lead }: Service): Promise<Check> {
  const name = 'alert routes';
  const routes = (await lead.alertsFor('reading')).listRoutes();
  const failing = routes.filter(({ health }) => health?.failingSinceMs !== undefined);
  if (failing.length > 0)
    return {
      name,
      state: 'failed',
      text: failing.map(({ route, health }) => `${route.name} (${route.kind}): ${health?.answer ?? ''}`).join('; '),
      hint: 'Run "cartulary alert test".',
    };
  const tells = routes.filter(({ route }) => route.kind !== 'heartbeat').length;
  const beats = routes.length - tells;
  const text = `${tells} route(s), ${beats} heartbeat(s)`;
  if (tells > 0 && beats > 0) return { name, state: 'ok', text };
  const hint =
    tells === 0
      ? 'Nobody is told when something is wrong: see docs/operate/alerts.md.'
      : 'A server that is dead cannot say so: add a heartbeat, see docs/operate/alerts.md.';
  return { name, state: 'warning', text, hint };
}

const doctor = defineOperation(
  'doctor',
  z.strictObject({}),
  async (_args, { service, signal, progress }) => {
    const checks: Check[] = [];
    for (const [index, step] of STEPS.entries()) {
      progress({ done: index, total: STEPS.length, what: step.name });
      checks.push(...(await take(step, service, signal)));
    }
    return report(checks);
  },
  async (_args, face) => report([describeFace(face), await probeClosed(face)]),
);

function report(checks: readonly Check[]) {
  return { ok: checks.every(({ state }) => state !== 'failed'), version: version(), node: process.version, checks };
}

/** What this process is at, where its archive is not open. */
function describeFace(face: Face): Check {
  const why = face.whyClosed();
  if (face.relay === undefined)
    return {
      name: 'archive',
      state: 'failed',
      text: why?.message ?? 'it is not open',
      hint: ERRORS[why?.code ?? 'internal'].hint,
    };
  const unsure = face.edge().whyUnsure();
  return unsure === undefined
    ? { name: 'relay', state: 'ok', text: 'its archive fetches what it takes in' }
    : {
        name: 'relay',
        state: 'failed',
        text: unsure.message,
        hint: 'Look whether the archive runs ("cartulary relay list" there) and reaches this machine. What comes meanwhile waits on this disk.',
      };
}

/** Takes a step; one that throws or does not end is a finding. */
async function take({ name, msMax, look }: Step, service: Service, signal: AbortSignal): Promise<readonly Check[]> {
  const late: Check = {
    name,
    state: 'failed',
    text: `no answer within ${msMax / 1000} s`,
    hint: 'Look at the load and the disk of this machine, and whether what it depends on can be reached.',
  };
  try {
    return [await within<Check | readonly Check[]>(msMax, look(service, signal), late)].flat();
  } catch (cause) {
    return [
      {
        name,
        state: 'failed',
        text: cause instanceof Error ? cause.message : 'failed',
        hint: cause instanceof CartularyError ? ERRORS[cause.code].hint : 'Run "cartulary verify".',
      },
    ];
  }
}

/** Diagnosis. */
export const DOCTOR_OPERATIONS = [doctor];
