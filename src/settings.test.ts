import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { isLoopback, readSettings } from './settings.ts';

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
    [{ CARTULARY_TLS_CERT: 'a' }, /together/],
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
  it('read a passphrase only from a file that nobody else can read', () => {
    expect(
      readSettings({ CARTULARY_PASSPHRASE_FILE: file('p', 'a long passphrase\n') }, {}, join(place, 'none')).passphrase,
    ).toBe('a long passphrase');
    expect(() => readSettings({ CARTULARY_PASSPHRASE_FILE: file('q', 'x', 0o644) }, {}, join(place, 'none'))).toThrow(
      /others can read/,
    );
  });
  it('know what only this machine reaches', () => {
    expect([isLoopback('127.0.0.1'), isLoopback('::1'), isLoopback('localhost'), isLoopback('10.0.0.1')]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});
