/**
 * Whoever changes the archive is found, even with its own keys: an edited, removed, added or swapped record, blob or leaf, changed metadata, a cut-off tail, a rewritten log, an old
 * copy put in place. Each attack is made on a copy of one archive, with the database key, past the database's own refusals.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { emptyRoot } from '../../src/ledger/tree.ts';
import { writeSignerMemory } from '../../src/archive/signer-memory.ts';
import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import type { ArchiveLayout } from '../../src/archive/layout.ts';
import { openHouse } from '../../src/archive/house.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { ArchiveId, MessageId } from '../../src/model/ids.ts';
import type { EncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { changeRows, takeDatabaseKey } from '../support/change-rows.ts';
import { makePlace, runCli, runJson } from '../support/cli.ts';

const place = await makePlace('tamper');
const CALLER = { kind: 'local', user: 'test' } as const;
let archiveId: ArchiveId;
let databaseKey: Uint8Array;

beforeAll(async () => {
  ({ archiveId } = await runJson<{ archiveId: ArchiveId }>(['init', '--data', place.data, '--name', 'Tamper']));
  const lines = Array.from({ length: 40 }, (_none, index) =>
    JSON.stringify({
      type: 'message.created',
      timestamp: '2026-11-22T10:00:00Z',
      data: {
        id: `m${index}`,
        channel: 'chat',
        direction: 'inbound',
        from: { address: `c${index}` },
        to: [{ address: 'shop' }],
        text: `text number ${index}`,
      },
    }),
  );
  const xml = (name: string, data: string): string =>
    `<smses><mms date="1700000000000" msg_box="1" address="+15550100${name}"><parts><part seq="0" ct="text/plain" cl="a.txt" data="${Buffer.from(data.repeat(50)).toString('base64')}"/><part seq="1" ct="image/png" cl="b.png" data="${Buffer.from(data.repeat(60)).toString('base64')}"/></parts></mms></smses>`;
  writeFileSync(join(place.path, 'lines.jsonl'), lines.join('\n'));
  await runJson(['import', 'jsonl', join(place.path, 'lines.jsonl'), '--data', place.data]);
  for (const name of ['123', '124']) {
    writeFileSync(join(place.path, `${name}.xml`), xml(name, `medium ${name}`));
    await runJson(['import', 'sms-backup', join(place.path, `${name}.xml`), '--data', place.data]);
  }
  databaseKey = await takeDatabaseKey(place.data, archiveId);
}, 240_000);
afterAll(() => place.remove());

/** Copies a data directory as a careful thief would: with the modes that the key files must have. */
function copyData(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  for (const part of ['', 'keys']) if (existsSync(join(to, part))) chmodSync(join(to, part), 0o700);
}

/** Copies the archive, lets `attack` change it, and verifies it. */
async function verifyAfter(
  attack: (layout: ArchiveLayout, data: string) => void | Promise<void>,
): Promise<VerifyReport> {
  const copy = join(place.path, 'copy');
  for (const suffix of ['', '.signer']) {
    await rm(copy + suffix, { recursive: true, force: true });
    copyData(place.data + suffix, copy + suffix);
  }
  await attack(archiveLayout(dataLayout(copy), archiveId), copy);
  const house = await openHouse({ directory: copy, onFatal: () => undefined, onStalled: () => undefined });
  try {
    return await house.archive.verify(CALLER, {});
  } finally {
    await house.close();
  }
}

/** Changes rows past the triggers. */
function inDatabase(change: (database: EncryptedDatabase) => void) {
  return (layout: ArchiveLayout): void => {
    changeRows(layout.database, databaseKey, change);
  };
}

/** Changes one byte of a file. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

function blobs(layout: ArchiveLayout): string[] {
  return (readdirSync(layout.blobs, { recursive: true, encoding: 'utf8' }) as string[])
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(layout.blobs, name));
}

const codes = (report: VerifyReport): string[] => [...new Set(report.faults.map((fault) => fault.code))];

describe('verify', () => {
  it('finds nothing in an archive that nobody changed', async () => {
    const report = await verifyAfter(() => undefined);
    expect(report).toMatchObject({ ok: true, faults: [] });
    expect(report.blobs).toBeGreaterThanOrEqual(2);
  });

  const attacks: readonly (readonly [string, (layout: ArchiveLayout, data: string) => void | Promise<void>, string])[] =
    [
      [
        'an edited record',
        inDatabase((db) =>
          db.exec(
            "UPDATE record SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB) WHERE seq = 20",
          ),
        ),
        'ciphertext-altered',
      ],
      ['a removed record', inDatabase((db) => db.exec('DELETE FROM record WHERE seq = 20')), 'record-missing'],
      [
        'two swapped ciphertexts',
        inDatabase((db) => {
          const [a, b] = [20, 21].map((seq) => db.prepare('SELECT sealed FROM record WHERE seq = ?').pluck().get(seq));
          db.prepare('UPDATE record SET sealed = ? WHERE seq = 20').run(b);
          db.prepare('UPDATE record SET sealed = ? WHERE seq = 21').run(a);
        }),
        'ciphertext-altered',
      ],
      [
        'two swapped records with their leaves',
        inDatabase((db) => {
          db.exec(
            'UPDATE record SET seq = -1 WHERE seq = 20; UPDATE record SET seq = 20 WHERE seq = 21; UPDATE record SET seq = 21 WHERE seq = -1',
          );
        }),
        'leaf-differs',
      ],
      [
        'an edited leaf',
        inDatabase((db) =>
          db.exec(
            "UPDATE record SET leaf = CAST(substr(leaf, 1, 60) || x'00' || substr(leaf, 62) AS BLOB) WHERE seq = 20",
          ),
        ),
        'leaf-differs',
      ],
      [
        'a record that belongs to another message',
        inDatabase((db) => db.exec('UPDATE record SET no = (SELECT no FROM record WHERE seq = 21) WHERE seq = 20')),
        'record-corrupt',
      ],
      [
        'a record that was added and never logged',
        inDatabase((db) => {
          db.exec(
            'INSERT INTO record SELECT (SELECT max(seq) FROM record) + 1, no, NULL, leaf, sealed FROM record WHERE seq = 20',
          );
          db.exec(
            'UPDATE record SET seq = seq + 1000 WHERE seq > 45; UPDATE record SET seq = seq - 999 WHERE seq > 1000',
          );
        }),
        'record-missing',
      ],
      ['a tail that was cut off', inDatabase((db) => db.exec('DELETE FROM record WHERE seq > 30')), 'records-missing'],
      [
        'a record that was logged a second time',
        inDatabase((db) =>
          db.exec(
            'INSERT INTO record SELECT (SELECT max(seq) FROM record) + 1, no, NULL, leaf, sealed FROM record WHERE seq = 20',
          ),
        ),
        'chain-broken',
      ],
      [
        'a message that no longer leads to its later records',
        inDatabase((db) =>
          db.exec(
            'UPDATE message SET last_seq = (SELECT prev_seq FROM record WHERE seq = last_seq) WHERE no = (SELECT no FROM record WHERE prev_seq IS NOT NULL)',
          ),
        ),
        'chain-broken',
      ],
      [
        'a record that was taken out of the chain of its message',
        inDatabase((db) => db.exec('UPDATE record SET prev_seq = NULL WHERE prev_seq IS NOT NULL')),
        'chain-broken',
      ],
      [
        'a message that was removed with its records kept',
        inDatabase((db) => db.exec('DELETE FROM message WHERE no = 5')),
        'record-missing',
      ],
      [
        'a key that was deleted without a destruction on record',
        inDatabase((db) => db.exec('DELETE FROM message_key WHERE no = (SELECT no FROM record WHERE seq = 20)')),
        'key-missing',
      ],
      [
        'a medium that was added and never logged',
        (layout) => {
          const bytes = randomBytes(500);
          const name = createHash('sha256').update(bytes).digest('hex');
          mkdirSync(join(layout.blobs, name.slice(0, 2)), { recursive: true });
          writeFileSync(join(layout.blobs, name.slice(0, 2), name), bytes);
        },
        'blob-not-logged',
      ],
      [
        'a tail that was cut off so that nothing can be put on record any more',
        inDatabase((db) =>
          db.exec(
            'DELETE FROM record WHERE seq > 30; DELETE FROM message WHERE last_seq > 30; DELETE FROM seen WHERE seq > 30',
          ),
        ),
        'records-missing',
      ],
      ['a signer that lost its memory', (layout) => rm(layout.signerMemory), 'memory-missing'],
      [
        'a signer whose memory was damaged',
        (layout) => writeFileSync(layout.signerMemory, '{"origin":'),
        'memory-missing',
      ],
      [
        'a log that was thrown away and signed anew without two records, while the signer remembers',
        async (layout) => {
          await rm(layout.log, { recursive: true });
          inDatabase((db) => {
            db.exec('UPDATE record SET seq = -1 WHERE seq = 10; UPDATE record SET seq = 10 WHERE seq = 11');
            db.exec('UPDATE record SET seq = 11 WHERE seq = -1');
          })(layout);
        },
        'signing-refused',
      ],
      ['an altered blob', (layout) => flip(blobs(layout)[0] ?? '', 200), 'blob-altered'],
      ['a removed blob', (layout) => rm(blobs(layout)[0] ?? ''), 'blob-missing'],
      [
        'swapped blobs',
        async (layout) => {
          const [a = '', b = ''] = blobs(layout);
          await rename(a, `${a}.x`);
          await rename(b, a);
          await rename(`${a}.x`, b);
        },
        'blob-altered',
      ],
      [
        'an altered tile',
        (layout) => {
          const tile =
            (readdirSync(join(layout.log, 'tile', '0'), { recursive: true, encoding: 'utf8' }) as string[])
              .filter((name) => /\d+$/.test(name) && name.includes('.p/'))
              .at(-1) ?? '';
          flip(join(layout.log, 'tile', '0', tile), 33);
        },
        'entries-tile-differ',
      ],
      [
        'a checkpoint that nobody signed',
        (layout) => {
          const path = join(layout.log, 'checkpoint');
          writeFileSync(
            path,
            readFileSync(path, 'utf8').replace(/\n(\d+)\n/, (_match, size: string) => `\n${Number(size) - 1}\n`),
          );
        },
        'checkpoint-invalid',
      ],
    ];
  it.each(attacks)('finds %s', { timeout: 120_000 }, async (_name, attack, code) => {
    const report = await verifyAfter(attack);
    expect(report.ok).toBe(false);
    expect(codes(report)).toContain(code);
  });

  it('finds a destroyed key that was put back', { timeout: 240_000 }, async () => {
    const copy = join(place.path, 'copy');
    for (const suffix of ['', '.signer']) {
      await rm(copy + suffix, { recursive: true, force: true });
      copyData(place.data + suffix, copy + suffix);
    }
    const open = () => openHouse({ directory: copy, onFatal: () => undefined, onStalled: () => undefined });
    const layout = archiveLayout(dataLayout(copy), archiveId);
    let secret: unknown;
    inDatabase((db) => (secret = db.prepare('SELECT secret FROM message_key WHERE no = 9').pluck().get()))(layout);
    const house = await open();
    const [hit] = (await house.archive.search(CALLER, { q: 'number 5', limit: 1 })).items;
    await house.archive.destroyMessage(CALLER, hit?.id as MessageId, 'card data');
    expect(await house.archive.verify(CALLER, {})).toMatchObject({ ok: true, faults: [], destroyed: 1 });
    await house.close();
    const gone = inDatabase((db) => {
      const no = db.prepare('SELECT no FROM message WHERE no NOT IN (SELECT no FROM message_key)').pluck().get();
      db.prepare('INSERT INTO message_key (no, secret) VALUES (?, ?)').run(no, secret);
    });
    gone(layout);
    const again = await open();
    const report = await again.archive.verify(CALLER, {});
    await again.close();
    expect(codes(report)).toContain('key-not-destroyed');
  });

  it('finds that the signer lost its memory until a person gives it back', { timeout: 240_000 }, async () => {
    const copy = join(place.path, 'copy');
    await rm(copy, { recursive: true, force: true });
    await rm(`${copy}.signer`, { recursive: true, force: true });
    copyData(place.data, copy);
    const lost = await runCli(['verify', '--data', copy, '--json']);
    expect(lost.code).toBe(1);
    expect(codes(JSON.parse(lost.stdout) as VerifyReport)).toContain('memory-missing');
    await runJson(['key', 'remember', '--data', copy]);
    expect(await runJson<VerifyReport>(['verify', '--data', copy])).toMatchObject({ ok: true });
  });

  it('finds an old copy put in the place of the data', { timeout: 240_000 }, async () => {
    const old = join(place.path, 'old');
    copyData(place.data, old);
    writeFileSync(
      join(place.path, 'more.jsonl'),
      JSON.stringify({
        type: 'message.created',
        timestamp: '2026-11-22T10:00:00Z',
        data: {
          id: 'later',
          channel: 'chat',
          direction: 'inbound',
          from: { address: 'x' },
          to: [{ address: 'shop' }],
          text: 'later',
        },
      }),
    );
    await runJson(['import', 'jsonl', join(place.path, 'more.jsonl'), '--data', place.data]);
    await rename(place.data, `${place.data}.new`);
    copyData(old, place.data);
    const { code, stdout } = await runCli(['verify', '--data', place.data, '--json']);
    expect(code).toBe(1);
    expect(codes(JSON.parse(stdout) as VerifyReport)).toContain('rolled-back');
    await rm(place.data, { recursive: true });
    await rename(`${place.data}.new`, place.data);
  });

  it('finds a wholly rewritten log by a checkpoint that somebody else holds', { timeout: 240_000 }, async () => {
    const known = join(place.path, 'known-checkpoint');
    writeFileSync(known, readFileSync(join(archiveLayout(dataLayout(place.data), archiveId).log, 'checkpoint')));
    const copy = join(place.path, 'rewritten');
    copyData(place.data, copy);
    const layout = archiveLayout(dataLayout(copy), archiveId);
    // Whoever has the keys and all of the machine throws away the log, forges the memory, changes history, and lets the archive sign it anew.
    await rm(layout.log, { recursive: true });
    inDatabase((db) => {
      db.exec(
        'UPDATE message SET last_seq = 21 - last_seq WHERE last_seq IN (10, 11); UPDATE record SET seq = -1 WHERE seq = 10; UPDATE record SET seq = 10 WHERE seq = 11; UPDATE record SET seq = 11 WHERE seq = -1',
      );
    })(layout);
    await writeSignerMemory(layout.signerMemory, { origin: `cartulary/${archiveId}`, size: 0, root: emptyRoot() });
    const { stdout: rewritten } = await runCli(['verify', '--data', copy, '--json']);
    expect(JSON.parse(rewritten)).toMatchObject({ ok: true });
    const { code, stdout } = await runCli(['verify', '--data', copy, '--json', '--checkpoint', known]);
    expect(code).toBe(1);
    expect(codes(JSON.parse(stdout) as VerifyReport)).toContain('history-rewritten');
  });
});
