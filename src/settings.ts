/**
 * Settings, read once: environment over `cartulary.yaml` over defaults, through a strict schema, into a frozen object. Nothing else reads the environment.
 * An unknown or unsafe setting stops the start with one clear line.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';

import type * as Yaml from 'yaml';
import { z } from 'zod';

import type { BackupPlaces } from './archive/backup-places.ts';
import { checkShape } from './model/check-shape.ts';
import { CartularyError } from './model/errors.ts';
import { credentialsOf, parseBlobUrl, parseCredentials } from './store/blob-location.ts';
import type { BlobSetting, PlaceSetting } from './store/blob-location.ts';
import { parseLocalRootLocation } from './vault/root-provider.ts';

const address = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'is an address as HOST:PORT, e.g. 127.0.0.1:8787')
  .transform((text) => {
    const at = text.lastIndexOf(':');
    return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'has a port of at most 65535');

const ROLES = ['edge', 'work', 'api'] as const;
const RELAY = 'relay';

/** What a node of an archive does: take in what platforms send; do what goes on by itself; answer people and programs. A relay is none of its nodes: it takes in for them. */
export type Role = (typeof ROLES)[number] | typeof RELAY;

const roles = z
  .string()
  .transform((text) => text.split(',').map((role) => role.trim()))
  .pipe(z.array(z.enum([...ROLES, RELAY], { error: `is a list of ${ROLES.join(', ')}, or relay` })).min(1));

/** An address to listen on. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** Every so many hours, and at which time of day (UTC) where that is said. */
const rhythm = z
  .union([z.number(), z.string()])
  .transform(String)
  .pipe(z.string().regex(/^\d{1,3}(?:@(?:[01]\d|2[0-3]):[0-5]\d)?$/, 'is a number of hours, e.g. 24 or 24@03:00'))
  .transform((text) => {
    const [hours, at] = text.split('@');
    const [hour, minute] = at?.split(':') ?? [];
    return {
      hours: Number(hours),
      ...(hour === undefined ? {} : { atMinutes: Number(hour) * 60 + Number(minute) }),
    };
  })
  .refine(({ hours }) => hours >= 1 && hours <= 168, 'is at least 1 hour and at most 168');

const days = z.coerce.number('is a number of days').int('is a whole number of days').min(1).max(36_500);

const schema = z.strictObject({
  data: z.string().min(1).default('./data'),
  shared: z.string().min(1).optional(),
  roles: roles.optional(),
  listen: address.prefault('127.0.0.1:8787'),
  hooksListen: address.optional(),
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .refine(isPlainUrl, 'is an address without user, password, query and fragment, since paths are put behind it')
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  database: z.url({ protocol: /^postgres(?:ql)?$/, error: 'is postgres://USER@HOST:PORT/DATABASE' }).optional(),
  blobs: z.string().min(1).optional(),
  keys: z.string().startsWith('file:', 'is file:PATH; other key providers come later').optional(),
  passphraseFile: z.string().min(1).optional(),
  edgeKeyFile: z.string().min(1).optional(),
  tlsCert: z.string().min(1).optional(),
  tlsKey: z.string().min(1).optional(),
  backup: z.string().min(1).optional(),
  backupKeys: z.string().min(1).optional(),
  backupHeads: z.string().min(1).optional(),
  backupDestroyed: z.string().min(1).optional(),
  backupEvery: rhythm.prefault('24'),
  backupKeep: days.default(30),
  backupKeepKeys: days.default(7),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

/** Backups that are made by themselves. */
export type BackupSettings = {
  readonly places: BackupPlaces;
  readonly every: z.infer<typeof rhythm>;
  readonly keepDays: number;
  readonly keepKeysDays: number;
};

type RawSettings = z.infer<typeof schema>;
type BackupKey = Extract<keyof RawSettings, `backup${string}`>;

/** The settings of one start. */
export type Settings = Readonly<Omit<RawSettings, 'blobs' | 'keys' | 'edgeKeyFile' | 'roles' | BackupKey>> & {
  readonly roles: readonly Role[];
  readonly backup?: BackupSettings;
  /** With credentials, which are not to be shown. */
  readonly blobs?: BlobSetting;
  readonly rootKeyPath?: string;
  /** From the passphrase file; kept apart from what may be shown. */
  readonly passphrase?: string;
  /** Text of the file with the edge key; as the passphrase. */
  readonly edgeKey?: string;
};

/**
 * What opening, making, restoring or rekeying an archive is told of it.
 * @returns a `HousePlace` of archive/
 */
export function housePlaceOf({ data, shared, rootKeyPath, passphrase, database, blobs }: Settings) {
  return {
    directory: data,
    ...(shared === undefined ? {} : { shared }),
    ...(rootKeyPath === undefined ? {} : { rootKeyPath }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(database === undefined ? {} : { database }),
    ...(blobs === undefined ? {} : { blobs }),
  };
}

/** Names of the environment, and of the keys in cartulary.yaml. */
const NAMES: Readonly<Record<string, keyof z.input<typeof schema>>> = {
  CARTULARY_DATA: 'data',
  CARTULARY_SHARED: 'shared',
  CARTULARY_ROLES: 'roles',
  CARTULARY_LISTEN: 'listen',
  CARTULARY_HOOKS_LISTEN: 'hooksListen',
  CARTULARY_PUBLIC_URL: 'publicUrl',
  CARTULARY_DATABASE: 'database',
  CARTULARY_BLOBS: 'blobs',
  CARTULARY_KEYS: 'keys',
  CARTULARY_PASSPHRASE_FILE: 'passphraseFile',
  CARTULARY_EDGE_KEY_FILE: 'edgeKeyFile',
  CARTULARY_TLS_CERT: 'tlsCert',
  CARTULARY_TLS_KEY: 'tlsKey',
  CARTULARY_BACKUP: 'backup',
  CARTULARY_BACKUP_KEYS: 'backupKeys',
  CARTULARY_BACKUP_HEADS: 'backupHeads',
  CARTULARY_BACKUP_DESTROYED: 'backupDestroyed',
  CARTULARY_BACKUP_EVERY: 'backupEvery',
  CARTULARY_BACKUP_KEEP: 'backupKeep',
  CARTULARY_BACKUP_KEEP_KEYS: 'backupKeepKeys',
  CARTULARY_LOG_LEVEL: 'logLevel',
};

/**
 * Reads the settings.
 * @param overrides from the command line, e.g. `--data DIR`
 * @param isLockable may the passphrase be given later? Its file need not be there then
 * @throws CartularyError `setting`, one line that names the setting
 */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
  overrides: Readonly<Partial<Record<keyof z.input<typeof schema>, string>>> = {},
  configPath = 'cartulary.yaml',
  isLockable = false,
): Settings {
  const given: Record<string, unknown> = { ...readConfigFile(configPath) };
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('CARTULARY_') || value === undefined || name.startsWith('CARTULARY_TEST_')) continue;
    const key = NAMES[name];
    if (key === undefined)
      throw new CartularyError('setting', `${name} is not a setting; settings are ${Object.keys(NAMES).join(', ')}`);
    given[key] = value;
  }
  Object.assign(given, overrides);
  const parsed = checkShape(schema, given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = String(issue?.path[0] ?? (issue?.code === 'unrecognized_keys' ? issue.keys[0] : ''));
    const name = nameOf(key);
    throw new CartularyError(
      'setting',
      `${name} ${issue?.code === 'unrecognized_keys' ? 'is not a setting' : (issue?.message ?? 'is not valid')}`,
    );
  }
  return Object.freeze(checkSettings(parsed.data, environment, isLockable));
}

/** What a setting is called in the environment; a key that is none, as it was written. */
function nameOf(key: string): string {
  return Object.entries(NAMES).find(([, value]) => value === key)?.[0] ?? key;
}

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password, search, hash } = new URL(text);
  return username + password + search + hash === '';
}

type Environment = Readonly<Record<string, string | undefined>>;

function checkSettings(raw: RawSettings, environment: Environment, isLockable: boolean): Settings {
  const {
    keys,
    edgeKeyFile,
    blobs,
    shared,
    roles: given,
    backup,
    backupKeys,
    backupHeads,
    backupDestroyed,
    ...others
  } = raw;
  const { backupEvery: every, backupKeep: keepDays, backupKeepKeys: keepKeysDays, ...rest } = others;
  if ((rest.tlsCert === undefined) !== (rest.tlsKey === undefined)) {
    throw new CartularyError('setting', 'CARTULARY_TLS_CERT and CARTULARY_TLS_KEY are given together or not at all');
  }
  for (const key of ['listen', 'hooksListen'] as const) {
    const host = rest[key]?.host;
    if (host === undefined || isLoopback(host) || rest.tlsCert !== undefined) continue;
    throw new CartularyError(
      'setting',
      `${nameOf(key)} is open to the network without TLS; listen on 127.0.0.1 behind a reverse proxy, or give CARTULARY_TLS_CERT and CARTULARY_TLS_KEY`,
    );
  }
  if (rest.database !== undefined) assertPrivate(rest.database);
  if (shared !== undefined && rest.database === undefined)
    throw new CartularyError(
      'setting',
      'CARTULARY_SHARED is for several nodes, whose records are in CARTULARY_DATABASE',
    );
  if (given?.includes(RELAY) === true) assertRelay(raw, given);
  else if (given !== undefined && shared === undefined)
    throw new CartularyError('setting', 'CARTULARY_ROLES is for one of several nodes; give CARTULARY_SHARED as well');
  if (backup === undefined && (backupKeys ?? backupHeads ?? backupDestroyed) !== undefined)
    throw new CartularyError('setting', 'CARTULARY_BACKUP says where the content of backups goes; set it too');
  return {
    ...rest,
    data: resolve(rest.data),
    roles: given ?? ROLES,
    ...(shared === undefined ? {} : { shared: resolve(shared) }),
    ...(blobs === undefined ? {} : { blobs: readBucket('CARTULARY_BLOBS', blobs, environment) }),
    ...(backup === undefined
      ? {}
      : { backup: { places: readBackupPlaces(raw, backup, environment), every, keepDays, keepKeysDays } }),
    ...(keys === undefined ? {} : { rootKeyPath: parseLocalRootLocation(keys) }),
    ...readPassphrase(rest.passphraseFile, isLockable),
    ...(edgeKeyFile === undefined ? {} : { edgeKey: readEdgeKey(edgeKeyFile) }),
  };
}

/** A relay has no part in the archive, and what it needs it must be told. */
function assertRelay(raw: RawSettings, roles: readonly Role[]): void {
  const refuse = (text: string): never => {
    throw new CartularyError('setting', text);
  };
  if (roles.length > 1) refuse('CARTULARY_ROLES: a relay does nothing else');
  if (raw.edgeKeyFile === undefined) refuse('a relay needs CARTULARY_EDGE_KEY_FILE, which "cartulary relay add" makes');
  if (raw.publicUrl === undefined)
    refuse('a relay needs CARTULARY_PUBLIC_URL, which platforms sign: the same as the archive has');
  for (const key of ['shared', 'database', 'blobs', 'keys', 'passphraseFile', 'backup'] as const)
    if (raw[key] !== undefined) refuse(`${nameOf(key)} is nothing that a relay may have`);
}

/** What goes to a database on another machine is sealed, but who may write there is not. */
function assertPrivate(database: string): void {
  const { hostname, searchParams } = new URL(database);
  const host = searchParams.get('host') ?? hostname;
  if (host === '' || host.startsWith('/') || isLoopback(host)) return;
  if (!['require', 'verify-ca', 'verify-full'].includes(searchParams.get('sslmode') ?? ''))
    throw new CartularyError('setting', 'CARTULARY_DATABASE is on another machine: add ?sslmode=verify-full to it');
}

/**
 * A place that is named on the command line, as a setting would name it.
 * @throws CartularyError `setting`
 */
export function readPlace(name: string, text: string, environment: Environment): PlaceSetting {
  if (!text.startsWith('s3:')) return { engine: 'directory', path: resolve(text) };
  return { engine: 's3', ...readBucket(name, text, environment) };
}

/** Where the parts go: where nothing else is said, with the content, each below a name of its own. */
function readBackupPlaces(raw: RawSettings, backup: string, environment: Environment): BackupPlaces {
  const read = (key: BackupKey, text: string): PlaceSetting => readPlace(nameOf(key), text, environment);
  return {
    content: read('backup', backup),
    keys: read('backupKeys', raw.backupKeys ?? backup),
    heads: read('backupHeads', raw.backupHeads ?? backup),
    destroyed: read('backupDestroyed', raw.backupDestroyed ?? backup),
  };
}

/** A place in a bucket with its credentials, from a file or from the names that Amazon's own tools read. @param name of the setting that names it */
function readBucket(name: string, text: string, environment: Environment): BlobSetting {
  try {
    const { place, credentialsFile } = parseBlobUrl(text);
    const { endpoint } = place;
    if (endpoint !== undefined && endpoint.startsWith('http:') && !isLoopback(new URL(endpoint).hostname))
      throw new CartularyError('setting', `${name} has an endpoint on another machine without TLS: use https`);
    const credentials =
      credentialsFile === undefined
        ? credentialsOf(
            environment['AWS_ACCESS_KEY_ID'],
            environment['AWS_SECRET_ACCESS_KEY'],
            environment['AWS_SESSION_TOKEN'],
          )
        : parseCredentials(readSecretFile(name, credentialsFile));
    return { ...place, credentials };
  } catch (cause) {
    if (!(cause instanceof CartularyError) || cause.code !== 'bad-input') throw cause;
    throw new CartularyError('setting', `${name} ${cause.message}`);
  }
}

/** Is this an address that only this machine reaches? IPv6 with brackets or without; a name that merely begins like one may lead anywhere. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || name === '[::1]' || (isIPv4(name) && name.startsWith('127.'));
}

function readEdgeKey(path: string): string {
  const text = readSecretFile('CARTULARY_EDGE_KEY_FILE', path).trim();
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return text;
  throw new CartularyError(
    'setting',
    `CARTULARY_EDGE_KEY_FILE: ${path} holds no edge key, which is 32 random bytes in base64 ("openssl rand -base64 32")`,
  );
}

/** @param isLockable may the file be missing? */
function readPassphrase(path: string | undefined, isLockable: boolean): { passphrase?: string } {
  if (path === undefined || (isLockable && !existsSync(path))) return {};
  return { passphrase: readSecretFile('CARTULARY_PASSPHRASE_FILE', path).replace(/\r?\n$/, '') };
}

/** The same settings with the passphrase that its file holds now, if there is one. @throws CartularyError `setting` */
export function withPassphrase(settings: Settings): Settings {
  return { ...settings, ...readPassphrase(settings.passphraseFile, true) };
}

/** Reads a file that only this process may read. @param name of the setting that names it */
function readSecretFile(name: string, path: string): string {
  let found;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch {
    throw new CartularyError('setting', `${name} names no file that can be looked at`);
  }
  if (found === undefined || !found.isFile()) throw new CartularyError('setting', `${name}: there is no file ${path}`);
  if (!isKeptFromOthers(found, process.getuid?.()))
    throw new CartularyError('setting', `${name}: others can read ${path}; run "chmod 600 ${path}"`);
  return readFileSync(path, 'utf8');
}

/**
 * Is a file for this process alone? systemd (LoadCredential) and Kubernetes hand a secret to a service as a file of root's that the service's group, or an access list in its
 * place, may read. PostgreSQL takes keys by the same rule.
 * @param ownUid of this process; undefined where there are no such ids
 */
export function isKeptFromOthers(
  { mode, uid }: { readonly mode: number; readonly uid: number },
  ownUid: number | undefined,
): boolean {
  const isHandedByRoot = uid === 0 && ownUid !== undefined && ownUid !== 0;
  return (mode & (isHandedByRoot ? 0o037 : 0o077)) === 0;
}

function readConfigFile(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {};
  let value: unknown;
  try {
    // Loaded only where there is such a file, since it takes as long to load as everything else here.
    const { parse: parseYaml } = createRequire(import.meta.url)('yaml') as typeof Yaml;
    // Without the parser's warnings, which quote the file.
    value = parseYaml(readFileSync(path, 'utf8'), { logLevel: 'error' });
  } catch {
    throw new CartularyError('setting', `${path} is not valid YAML`);
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new CartularyError('setting', `${path} is not a list of settings`);
  return value as Record<string, unknown>;
}
