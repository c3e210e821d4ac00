/**
 * The page for whoever takes over: what is connected and who owns it, what expires, where keys and kits are and who can open them, where backups are and when they were last tried, who
 * is told, how to check all this without us. No secret, no address of a customer and no text of a message is in it, so that it may lie in a drawer.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { Drill } from '../archive/care.ts';
import { findConnector } from '../capture/connectors/list.ts';
import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import type { PlaceSetting } from '../store/blob-location.ts';
import { version } from '../version.ts';
import { findMissing } from './readiness.ts';
import type { Missing } from './readiness.ts';
import type { Service } from './service.ts';

/** Days before an end that are worth a line. */
const SOON_DAYS = 400;

/** All of it, as data. Times are RFC 3339. */
export type Handover = Awaited<ReturnType<typeof gatherHandover>>;

const iso = (ms: number): string => new Date(ms).toISOString();

/** Gathers what is known. */
export async function gatherHandover(service: Service) {
  const { archive, house, settings, alerts } = service;
  const care = await archive.findCare();
  const missing: readonly Missing[] = await findMissing(service);
  const sources = archive.registry
    .listSources()
    .filter(({ removedAtMs }) => removedAtMs === undefined)
    .map(({ id, connector, name, createdAtMs, teeUrl }) => ({
      id,
      name,
      platform: findConnector(connector)?.title ?? connector,
      since: iso(createdAtMs),
      owner: care.sources.get(id)?.owner ?? null,
      tokenExpires: care.sources.get(id)?.expires ?? null,
      inFrontOfTheShop: teeUrl !== undefined,
    }));
  const [newest] = care.backups;
  const { size } = parseSignedCheckpoint(await archive.publish());
  return {
    madeAt: iso(service.now()),
    version: version(),
    missing,
    archive: { id: archive.id, name: archive.name, log: archive.origin, logKey: archive.vkey, records: size },
    owners: care.owners,
    sources,
    deadlines: await findDeadlines(service, sources),
    keys: {
      rootKey: house.root.location,
      rootId: house.rootId,
      whoCanRead: house.root.whoCanRead,
      keptAt: care.keptAt ?? null,
      kit:
        care.kit === undefined
          ? null
          : {
              printedAt: iso(care.kit.atMs),
              shares: care.kit.shares,
              threshold: care.kit.threshold,
              holders: care.kit.holders,
              isOfThisRoot: care.kit.rootId === house.rootId,
            },
    },
    access: archive.registry
      .listKeys()
      .filter(({ revokedAtMs }) => revokedAtMs === undefined)
      .map(({ id, name, scopes, createdAtMs }) => ({ id, name, scopes, since: iso(createdAtMs) })),
    storage: {
      data: house.layout.directory,
      records: settings.database === undefined ? 'in the data directory' : describeDatabase(settings.database),
      media:
        settings.blobs === undefined ? 'in the data directory' : describePlace({ engine: 's3', ...settings.blobs }),
    },
    backups: {
      places:
        settings.backup === undefined
          ? null
          : Object.fromEntries(
              Object.entries(settings.backup.places).map(([part, place]) => [part, describePlace(place)]),
            ),
      everyHours: settings.backup?.every.hours ?? null,
      keepDays: settings.backup?.keepDays ?? null,
      keepKeysDays: settings.backup?.keepKeysDays ?? null,
      newest: newest === undefined ? null : { time: newest.time, records: newest.records, canBeRestored: newest.ok },
      lastByHand: await lastBackup(service),
      failingSince: care.failure === undefined ? null : iso(care.failure.sinceMs),
      lastDrill: describeLastDrill(care.drills[0]),
    },
    alerts: alerts
      .listRoutes()
      .map(({ route: { name, kind, owner, severity }, target }) => ({ name, kind, owner, severity, target })),
  };
}

async function lastBackup({ archive }: Service): Promise<string | null> {
  const ms = await archive.lastBackupMs();
  return ms === undefined ? null : iso(ms);
}

function describeLastDrill(drill: Drill | undefined) {
  if (drill === undefined) return null;
  const { atMs, ok, totalMs, backupMs, newestMs } = drill;
  return {
    at: iso(atMs),
    ok,
    seconds: Math.round(totalMs / 1000),
    backupAgeHours: Math.round((atMs - backupMs) / 360_000) / 10,
    newestMessageAgeHours: newestMs === undefined ? null : Math.round((atMs - newestMs) / 360_000) / 10,
  };
}

/** What ends by itself and must be renewed, soonest first. */
async function findDeadlines(
  { settings, now }: Service,
  sources: readonly { readonly name: string; readonly tokenExpires: string | null }[],
): Promise<{ readonly what: string; readonly on: string }[]> {
  const deadlines = sources.flatMap(({ name, tokenExpires }) =>
    tokenExpires === null ? [] : [{ what: `token of the source "${name}"`, on: tokenExpires }],
  );
  const pem = settings.tlsCert === undefined ? undefined : await readFile(settings.tlsCert).catch(() => undefined);
  if (pem !== undefined)
    deadlines.push({ what: 'TLS certificate', on: new X509Certificate(pem).validToDate.toISOString().slice(0, 10) });
  const latest = iso(now() + SOON_DAYS * 86_400_000);
  return deadlines.filter(({ on }) => on < latest).sort((one, other) => (one.on < other.on ? -1 : 1));
}

/** Without user and password. */
function describeDatabase(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL at ${hostname}${port === '' ? '' : `:${port}`}, database ${pathname.slice(1)}`;
}

/** Without credentials. */
export function describePlace(place: PlaceSetting): string {
  if (place.engine === 'directory') return place.path;
  const { bucket, prefix, region, endpoint } = place;
  return `s3://${bucket}/${prefix} (${endpoint ?? region})`;
}
