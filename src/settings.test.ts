import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { isKeptFromOthers, isLoopback, readSettings, withPassphrase } from './settings.ts';

const place = mkdtempSync(join(tmpdir(), 'cartulary-settings-'));
afterAll(() => rmSync(place, { recursive: true }));
const file = (name: string, text: string, mode = 0o600): string => {
  const path = join(place, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};

describe('settings', () => {
  it('need none', () => {
    expect(readSettings({}, {}, join(place, 'none'))).toMatchObject({
      listen: { host: '127.0.0.1', port: 8787 },
      logLevel: 'info',
    });
  });
  it('are all read, and cannot be changed afterwards', () => {
    const passphrase = file('all-passphrase', 'correct horse battery staple\r\n', 0o400);
    const settings = readSettings(
      {
        CARTULARY_DATA: 'some/where',
        CARTULARY_LISTEN: '[::]:443',
        CARTULARY_HOOKS_LISTEN: 'hooks.example:0',
        CARTULARY_PUBLIC_URL: 'https://shop.example/archive//',
        CARTULARY_KEYS: 'file:/etc/keys/root.key',
        CARTULARY_PASSPHRASE_FILE: passphrase,
        CARTULARY_TLS_CERT: 'c.pem',
        CARTULARY_TLS_KEY: 'k.pem',
        CARTULARY_LOG_LEVEL: 'silent',
        CARTULARY_TEST_SOMETHING: 'is for tests',
        CARTULARYISH: 'is somebody else’s',
        HOME: '/',
        CARTULARY_UNSET: undefined,
      },
      {},
      join(place, 'none'),
    );
    expect(settings).toEqual({
      data: resolve('some/where'),
      listen: { host: '::', port: 443 },
      hooksListen: { host: 'hooks.example', port: 0 },
      publicUrl: 'https://shop.example/archive',
      rootKeyPath: '/etc/keys/root.key',
      passphrase: 'correct horse battery staple',
      passphraseFile: passphrase,
      tlsCert: 'c.pem',
      tlsKey: 'k.pem',
      logLevel: 'silent',
      roles: ['edge', 'work', 'api'],
    });
    expect(Object.isFrozen(settings)).toBe(true);
  });
  it('name a place in a bucket; credentials come from the environment or a file, never from the address', () => {
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    const read = (CARTULARY_BLOBS: string, more: Record<string, string> = keys) =>
      readSettings({ CARTULARY_BLOBS, ...more }, {}, join(place, 'none')).blobs;
    expect(read('s3://media-of-shop/a/b/?region=eu-central-1')).toEqual({
      bucket: 'media-of-shop',
      prefix: 'a/b/',
      region: 'eu-central-1',
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    });
    const own = file(
      'aws',
      '[other]\naws_access_key_id=x\n[default]\naws_access_key_id = A\naws_secret_access_key = b+/=\n',
    );
    const url = 's3://media?region=r1&endpoint=http://127.0.0.1:9000&credentials=';
    expect(read(url + own, {})).toEqual({
      bucket: 'media',
      prefix: '',
      region: 'r1',
      endpoint: 'http://127.0.0.1:9000',
      credentials: { accessKeyId: 'A', secretAccessKey: 'b+/=' },
    });
    expect(read('s3://media?region=r1', { ...keys, AWS_SESSION_TOKEN: 't' })?.credentials).toMatchObject({
      sessionToken: 't',
    });
    expect(readSettings(keys, {}, file('blobs.yaml', 'blobs: s3://media/x?region=r1\n')).blobs?.prefix).toBe('x/');
  });
  it.each([
    ['media', /s3:\/\/BUCKET/],
    ['https://media/?region=r1', /begins with s3/],
    ['s3://id:hunter2@media?region=r1', /no credentials in it/],
    ['s3://media', /names its region/],
    ['s3://Media?region=r1', /name of a bucket/],
    ['s3://media:9000?region=r1', /neither a port/],
    ['s3://media/a//b?region=r1', /single slashes/],
    ['s3://media/a b?region=r1', /prefix of letters/],
    ['s3://media?region=r1&region=r2', /each once/],
    ['s3://media?region=r1&secret=hunter2', /no other parameters/],
    ['s3://media?region=r1&endpoint=ftp://x', /endpoint as https/],
    ['s3://media?region=r1&endpoint=https://u:hunter2@x', /endpoint as https/],
    ['s3://media?region=r1&endpoint=https://x/path', /endpoint as https/],
    ['s3://media?region=r1&endpoint=http://10.0.0.1:9000', /without TLS/],
    ['s3://media?region=r1&endpoint=http://127.evil.example', /without TLS/],
    ['s3://media?region=r1&credentials=', /names a file/],
    ['s3://media?region=r1&credentials=/nowhere', /there is no file/],
    [`s3://media?region=r1&credentials=${file('open-credentials', 'x', 0o644)}`, /others can read/],
    [`s3://media?region=r1&credentials=${file('no-credentials', '[default]\n')}`, /needs credentials/],
  ])('refuse the place %s, and quote no secret of it', (CARTULARY_BLOBS, reason) => {
    const read = () =>
      readSettings({ CARTULARY_BLOBS, AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 's' }, {}, join(place, 'none'));
    expect(read).toThrow(
      expect.objectContaining({ code: 'setting', message: expect.stringMatching(reason) as string }),
    );
    expect(read).toThrow(expect.not.objectContaining({ message: expect.stringContaining('hunter2') as string }));
  });
  it('say what one of several nodes does, which needs what they share', () => {
    const several = { CARTULARY_SHARED: '/srv/shared', CARTULARY_DATABASE: 'postgres://127.0.0.1/c' };
    const read = (more: Record<string, string>) => readSettings({ ...several, ...more }, {}, join(place, 'none'));
    expect(read({})).toMatchObject({ shared: '/srv/shared', roles: ['edge', 'work', 'api'] });
    expect(read({ CARTULARY_ROLES: 'edge, api' }).roles).toEqual(['edge', 'api']);
    expect(() => read({ CARTULARY_ROLES: 'edge,boss' })).toThrow('edge, work, api');
    expect(() => readSettings({ CARTULARY_SHARED: '/srv' }, {}, join(place, 'none'))).toThrow('CARTULARY_DATABASE');
    expect(() => readSettings({ CARTULARY_ROLES: 'edge' }, {}, join(place, 'none'))).toThrow('CARTULARY_SHARED');
  });
  it('of a relay are those that it needs, and nothing of the archive', () => {
    const edgeKey = Buffer.alloc(32, 7).toString('base64');
    const relay = {
      CARTULARY_ROLES: 'relay',
      CARTULARY_EDGE_KEY_FILE: file('edge.key', `${edgeKey}\n`),
      CARTULARY_PUBLIC_URL: 'https://hooks.example',
    };
    const read = (more: Record<string, string | undefined>) =>
      readSettings({ ...relay, ...more }, {}, join(place, 'none'));
    expect(read({})).toMatchObject({ roles: ['relay'], edgeKey });
    expect(() => read({ CARTULARY_EDGE_KEY_FILE: file('no.key', 'x') })).toThrow('holds no edge key');
    expect(() => read({ CARTULARY_ROLES: 'relay,api' })).toThrow('a relay does nothing else');
    expect(() => read({ CARTULARY_EDGE_KEY_FILE: undefined })).toThrow('CARTULARY_EDGE_KEY_FILE');
    expect(() => read({ CARTULARY_PUBLIC_URL: undefined })).toThrow('CARTULARY_PUBLIC_URL');
    expect(() => read({ CARTULARY_DATABASE: 'postgres://127.0.0.1/c' })).toThrow('CARTULARY_DATABASE is nothing');
    expect(() => read({ CARTULARY_KEYS: 'file:/etc/root.key' })).toThrow('CARTULARY_KEYS is nothing');
  });
  it('say where backups go, part by part, when, and for how long', () => {
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    const read = (more: Record<string, string>) => readSettings({ ...keys, ...more }, {}, join(place, 'none')).backup;
    expect(read({})).toBeUndefined();
    const all = { engine: 'directory', path: '/mnt/backups' };
    expect(read({ CARTULARY_BACKUP: '/mnt/backups' })).toEqual({
      places: { content: all, keys: all, heads: all, destroyed: all },
      every: { hours: 24 },
      keepDays: 30,
      keepKeysDays: 7,
    });
    expect(
      read({
        CARTULARY_BACKUP: 's3://content/a?region=r1',
        CARTULARY_BACKUP_KEYS: '/mnt/keys',
        CARTULARY_BACKUP_HEADS: 's3://heads?region=r1',
        CARTULARY_BACKUP_EVERY: '6@03:30',
        CARTULARY_BACKUP_KEEP: '400',
        CARTULARY_BACKUP_KEEP_KEYS: '3',
      }),
    ).toMatchObject({
      places: {
        content: { engine: 's3', bucket: 'content', prefix: 'a/' },
        keys: { engine: 'directory', path: '/mnt/keys' },
        heads: { engine: 's3', bucket: 'heads' },
        destroyed: { engine: 's3', bucket: 'content' },
      },
      every: { hours: 6, atMinutes: 210 },
      keepDays: 400,
      keepKeysDays: 3,
    });
    expect(
      readSettings({}, {}, file('backup.yaml', 'backup: b\nbackupEvery: 12\nbackupKeep: 9\n')).backup,
    ).toMatchObject({ every: { hours: 12 }, keepDays: 9 });
    for (const [name, value, reason] of [
      ['CARTULARY_BACKUP_EVERY', '0', 'at least 1 hour'],
      ['CARTULARY_BACKUP_EVERY', '24@25:00', 'number of hours'],
      ['CARTULARY_BACKUP_KEEP', '1.5', 'whole number'],
      ['CARTULARY_BACKUP_KEEP_KEYS', 'soon', 'number of days'],
      ['CARTULARY_BACKUP_KEYS', 's3://keys', 'names its region'],
    ] as const)
      expect(() => read({ CARTULARY_BACKUP: 'b', [name]: value })).toThrow(new RegExp(`${name} .*${reason}`));
    expect(() => read({ CARTULARY_BACKUP_KEYS: 'b' })).toThrow('CARTULARY_BACKUP');
  });
  it('want credentials for a bucket', () => {
    expect(() => readSettings({ CARTULARY_BLOBS: 's3://media?region=r1' }, {}, join(place, 'none'))).toThrow(
      'AWS_ACCESS_KEY_ID',
    );
  });
  it('come from the file by their names in it, whole', () => {
    const path = file(
      'whole.yaml',
      'listen: 127.0.0.1:1\nhooksListen: "[::1]:2"\npublicUrl: http://x.example\nkeys: file:k\nlogLevel: debug\n',
    );
    expect(readSettings({}, {}, path)).toMatchObject({
      listen: { host: '127.0.0.1', port: 1 },
      hooksListen: { host: '::1', port: 2 },
      publicUrl: 'http://x.example',
      rootKeyPath: resolve('k'),
      logLevel: 'debug',
    });
    for (const text of ['listen: 8787', 'data: {}', 'tlsCert: true', 'CARTULARY_DATA: x'])
      expect(() => readSettings({}, {}, file('wrong.yaml', text))).toThrow(
        expect.objectContaining({ code: 'setting', message: expect.stringMatching(/^[^\n]+$/) as string }),
      );
  });
  it('come from the file, the environment over it, the command line over both', () => {
    const path = file('a.yaml', 'data: one\nlogLevel: warn\n');
    expect(readSettings({}, {}, path)).toMatchObject({ logLevel: 'warn' });
    expect(readSettings({ CARTULARY_LOG_LEVEL: 'error' }, {}, path).logLevel).toBe('error');
    expect(readSettings({ CARTULARY_DATA: 'two' }, { data: 'three' }, path).data).toMatch(/three$/);
  });
  it.each([
    [{ CARTULARY_TYPO: '1' }, /CARTULARY_TYPO is not a setting/],
    [{ CARTULARY_LISTEN: 'everywhere' }, /CARTULARY_LISTEN is an address/],
    [{ CARTULARY_LISTEN: '127.0.0.1:99999' }, /CARTULARY_LISTEN has a port/],
    [{ CARTULARY_LISTEN: '0.0.0.0:8787' }, /open to the network without TLS/],
    [{ CARTULARY_LISTEN: '[::]:8787' }, /CARTULARY_LISTEN is open to the network without TLS/],
    [{ CARTULARY_LISTEN: '127.example.com:8787' }, /open to the network without TLS/],
    [{ CARTULARY_HOOKS_LISTEN: '0.0.0.0:8788' }, /CARTULARY_HOOKS_LISTEN is open to the network without TLS/],
    [{ CARTULARY_HOOKS_LISTEN: '' }, /CARTULARY_HOOKS_LISTEN is an address/],
    [{ CARTULARY_DATA: '' }, /CARTULARY_DATA/],
    [{ CARTULARY_TLS_CERT: 'a' }, /together/],
    [{ CARTULARY_TLS_KEY: 'a' }, /together/],
    [{ CARTULARY_KEYS: 'file:' }, /CARTULARY_KEYS names a key file/],
    [{ CARTULARY_PUBLIC_URL: 'https://user:word@shop.example' }, /CARTULARY_PUBLIC_URL/],
    [{ CARTULARY_PUBLIC_URL: 'https://shop.example/?a=1' }, /CARTULARY_PUBLIC_URL/],
    [{ CARTULARY_PUBLIC_URL: 'nonsense' }, /CARTULARY_PUBLIC_URL/],
    [{ CARTULARY_PUBLIC_URL: 'https://shop.example/#a' }, /CARTULARY_PUBLIC_URL/],
    [{ CARTULARY_PASSPHRASE_FILE: place }, /there is no file/],
    [{ CARTULARY_KEYS: 'awskms:x' }, /CARTULARY_KEYS is file:PATH/],
    [{ CARTULARY_PUBLIC_URL: 'ftp://x' }, /CARTULARY_PUBLIC_URL/],
    [{ CARTULARY_LOG_LEVEL: 'loud' }, /CARTULARY_LOG_LEVEL/],
    [{ CARTULARY_PASSPHRASE_FILE: '/nowhere' }, /there is no file/],
  ])('that are unknown or unsafe stop the start: %j', (environment, text) => {
    expect(() => readSettings(environment, {}, join(place, 'none'))).toThrow(text);
  });
  it('refuse a file that is none, and a key in it that is none', () => {
    expect(() => readSettings({}, {}, file('b.yaml', '- a\n'))).toThrow(/not a list of settings/);
    expect(() => readSettings({}, {}, file('c.yaml', 'a: [\n'))).toThrow(/not valid YAML/);
    expect(() => readSettings({}, {}, file('d.yaml', 'nonsense: 1\n'))).toThrow(/nonsense is not a setting/);
    expect(readSettings({}, {}, file('e.yaml', ''))).toMatchObject({ logLevel: 'info' });
  });
  it('do without a passphrase that is given later, where that is wanted, and read it then', () => {
    const later = join(place, 'later');
    const given = { CARTULARY_PASSPHRASE_FILE: later };
    expect(() => readSettings(given, {}, join(place, 'none'))).toThrow('there is no file');
    const settings = readSettings(given, {}, join(place, 'none'), true);
    expect(withPassphrase(settings).passphrase).toBeUndefined();
    file('later', 'a long passphrase\n', 0o644);
    expect(() => withPassphrase(settings)).toThrow('others can read');
    file('later', 'a long passphrase\n');
    expect(withPassphrase(settings).passphrase).toBe('a long passphrase');
  });
  it('read a passphrase only from a file that nobody else can read', () => {
    expect(
      readSettings({ CARTULARY_PASSPHRASE_FILE: file('p', 'a long passphrase\n') }, {}, join(place, 'none')).passphrase,
    ).toBe('a long passphrase');
    for (const mode of [0o644, 0o640, 0o604, 0o620, 0o601])
      expect(() =>
        readSettings({ CARTULARY_PASSPHRASE_FILE: file('q', 'very secret', mode) }, {}, join(place, 'none')),
      ).toThrow(/others can read [^ ]+; run "chmod 600 /);
    mkdirSync(join(place, 'empty'), { mode: 0o700 });
    expect(() => readSettings({ CARTULARY_PASSPHRASE_FILE: join(place, 'empty') }, {}, join(place, 'none'))).toThrow(
      /there is no file/,
    );
  });
  it('take a secret that root hands to the group of a service, as systemd and Kubernetes do, and no more than that', () => {
    const taken = (mode: number, uid: number, own: number | undefined): boolean => isKeptFromOthers({ mode, uid }, own);
    expect([0o100400, 0o100440, 0o100640].map((mode) => taken(mode, 0, 10001))).toEqual([true, true, true]);
    expect([0o100444, 0o100460, 0o100450].map((mode) => taken(mode, 0, 10001))).toEqual([false, false, false]);
    expect([taken(0o100440, 10001, 10001), taken(0o100440, 1000, 10001)]).toEqual([false, false]);
    expect([taken(0o100440, 0, 0), taken(0o100440, 0, undefined)]).toEqual([false, false]);
  });
  it.each(['127.0.0.1', '127.255.0.9', '::1', '[::1]', 'localhost', 'LOCALHOST'])(
    'know that only this machine reaches %s',
    (host) => {
      expect(isLoopback(host)).toBe(true);
    },
  );
  it.each([
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '127.example.com',
    '127.0.0.1.example.com',
    '127.1',
    'localhost.example.com',
    '',
  ])('know that others may reach %j', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});
