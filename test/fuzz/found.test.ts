/** What fuzzing has found: each counterexample, kept. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { authenticateApiKey, createApiKey, parseScopes } from '../../src/access/api-keys.ts';
import { OPERATIONS } from '../../src/api/operations/list.ts';
import type { OperationContext } from '../../src/api/operation.ts';
import { readHouseFile } from '../../src/archive/house-file.ts';
import { succeededHead, unpackRecord } from '../../src/archive/record-codec.ts';
import { readSealBatch } from '../../src/archive/seal-batch.ts';
import { readSignerMemory } from '../../src/archive/signer-memory.ts';
import { STANDARD_WEBHOOKS } from '../../src/capture/connectors/standard-webhooks.ts';
import { TWILIO_CONNECTOR } from '../../src/capture/connectors/twilio.ts';
import { UnreadableEnvelope } from '../../src/capture/unreadable.ts';
import { CartularyError } from '../../src/model/errors.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import { parsePhoneAddress } from '../../src/model/phone.ts';
import { parseRecord, parseRecordHead, parseRecordLabel } from '../../src/model/record.ts';
import { formatCursor, parseCursor } from '../../src/search/cursor.ts';
import { parseQuery } from '../../src/search/query.ts';
import { readSettings } from '../../src/settings.ts';
import { decodeBatch, encodeBatch } from '../../src/store/batch-codec.ts';

let place = '';
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'cartulary-found-'));
});
afterAll(() => rm(place, { recursive: true }));

function codeOf(act: () => unknown): ErrorCode | undefined {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof CartularyError) return thrown.code;
    throw thrown;
  }
  return undefined;
}

describe('a name that every object has', () => {
  it.each(['constructor', '__proto__', 'toString'])('%s is no scope', (name) => {
    // Such a key could be stored, and then no archive with it could be opened again.
    expect(codeOf(() => parseScopes([name]))).toBe('bad-input');
  });
});

describe('an API key', () => {
  it('has one text: bits that say nothing are zero', () => {
    const { key, text } = createApiKey('k', ['export'], 0, (bytes) => Buffer.alloc(bytes, 5));
    expect(authenticateApiKey(text, () => key)).toBe(key);
    const other = `${text.slice(0, -1)}W`;
    expect(Buffer.from(other.slice(-43), 'base64url')).toEqual(Buffer.from(text.slice(-43), 'base64url'));
    expect(codeOf(() => authenticateApiKey(other, () => key))).toBe('unauthenticated');
  });
});

describe('damaged records', () => {
  const raw = ',"raw":{"transport":"webhook"}}';
  it.each(['{"v":1,"event":null}', '{"v":1,"event":5}', `{"v":1${raw}`, `{"v":1,"event":0${raw}`, 'null'])(
    '%s is named corrupt',
    (text) => {
      for (const read of [parseRecord, parseRecordHead, parseRecordLabel])
        expect(codeOf(() => read(Buffer.from(text)))).toBe('corrupt');
    },
  );
  it.each([
    '{"v":1,"event":{}}',
    '{"v":1,"event":{"kind":"audit"}}',
    '{"v":1,"capturedAt":{"ms":"x"},"event":{"kind":"audit"}}',
    `{"v":1,"capturedAt":null,"event":{"kind":"audit"}${raw}`,
  ])('%s has no label', (text) => {
    expect(codeOf(() => parseRecordLabel(Buffer.from(text)))).toBe('corrupt');
  });

  it('that tell of a succession without a head are, too', () => {
    const text = '{"v":1,"capturedAt":{"ms":1},"event":{"kind":"log.succeeded","origin":"o","size":1,"root":null}}';
    expect(codeOf(() => succeededHead(Buffer.from(text)))).toBe('corrupt');
  });

  it('of no bytes at all are, too', () => {
    expect(codeOf(() => unpackRecord(new Uint8Array(0)))).toBe('corrupt');
  });
});

describe('a batch that is cut short', () => {
  const entry = { messageId: Buffer.alloc(16), secret: Buffer.alloc(32), unique: undefined };
  const whole = new Uint8Array(
    encodeBatch([
      { ...entry, leaf: Buffer.alloc(9), sealed: Buffer.alloc(9), settings: [{ name: 'a', value: undefined }] },
    ]),
  );
  const end = whole.findLastIndex((byte) => byte !== 0) + 1;
  it('is refused wherever it is cut, and nothing in it is shortened', () => {
    for (let bytes = 0; bytes < end; bytes += 1) {
      expect(codeOf(() => decodeBatch(whole.slice(0, bytes).buffer))).toBe('internal');
    }
  });
  it('is refused by the sealing thread, too', () => {
    expect(codeOf(() => [...readSealBatch(Uint8Array.of(1, 0, 0, 0, 9).buffer)])).toBe('internal');
    expect(codeOf(() => [...readSealBatch(new ArrayBuffer(0))])).toBe('internal');
  });
});

describe('an object whose length cannot be compared, where a text was expected,', () => {
  const odd = { length: { toString: 1, valueOf: 1 } };
  it('is refused as an argument', async () => {
    const search = OPERATIONS.find(({ name }) => name === 'search');
    await expect(search?.run({ q: odd }, {} as OperationContext)).rejects.toMatchObject({ code: 'bad-input' });
  });

  it.each(['id', 'channel', 'from', 'text', 'parts'])('is refused as %s of an event', (name) => {
    const message = { id: 'm', channel: 'sms', direction: 'inbound', from: 'a', to: ['b'], text: 'x', [name]: odd };
    const event = { type: 'message.created', timestamp: '2026-11-22T12:00:00Z', data: message };
    const envelope = {
      ...{ transport: 'webhook' as const, method: 'POST', url: 'https://archive.example/hooks/src_1', headers: [] },
      ...{ body: Buffer.from(JSON.stringify(event)), receivedAtMs: 0 },
    };
    expect(() => STANDARD_WEBHOOKS.read(envelope, { platform: 'standard-webhooks', settings: {} })).toThrow(
      UnreadableEnvelope,
    );
  });

  it('is no house and no head', async () => {
    const file = join(place, 'odd');
    await writeFile(
      file,
      JSON.stringify({ version: 1, archives: [{ id: odd, name: odd, origin: odd, createdAt: odd }] }),
    );
    await expect(readHouseFile({ house: file })).rejects.toMatchObject({ code: 'corrupt' });
    await writeFile(file, JSON.stringify({ origin: odd, size: 3, root: odd }));
    expect(await readSignerMemory(file)).toBeUndefined();
  });
});

describe('a cursor', () => {
  it('with a row that no index has is refused', () => {
    const query = parseQuery('refund', { nowMs: 0 });
    const at = { order: 'newest', month: '2026-11', total: 1, totalRelation: 'eq' } as const;
    const text = formatCursor({ ...at, row: 2 ** 53 + 2 }, query);
    expect(codeOf(() => parseCursor(text, query, 'newest'))).toBe('bad-input');
  });
});

describe('files of a data directory', () => {
  it.each(['', '{', 'z"version":1', 'null', '{"version":1,"archives":[]}'])('%j is no house file', async (text) => {
    const house = join(place, 'cartulary.json');
    await writeFile(house, text);
    await expect(readHouseFile({ house })).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('a passphrase file whose name cannot be one is named as the setting', () => {
    for (const name of ['9'.repeat(5000), 'a\0b']) {
      const read = (): unknown => readSettings({ CARTULARY_PASSPHRASE_FILE: name }, {}, join(place, 'none'));
      expect(codeOf(read)).toBe('setting');
    }
  });

  it('doubtful YAML says nothing but the one line of the error', async () => {
    const file = join(place, 'cartulary.yaml');
    await writeFile(file, 'a: &a [x]\nb: [*a,*": x"]\n');
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
    expect(codeOf(() => readSettings({}, {}, file))).toBe('setting');
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });
});

describe('a list of Twilio with half a character in an id', () => {
  it('is read', () => {
    const message = {
      sid: 'MM\ud800',
      account_sid: 'AC1',
      direction: 'inbound',
      from: '+14155550100',
      to: '+14155550101',
      num_media: '1',
      status: 'received',
      date_sent: 'Thu, 30 Jul 2015 20:12:31 +0000',
    };
    const envelope = {
      transport: 'poll',
      method: 'GET',
      url: 'https://api.twilio.com/x',
      headers: [],
      body: Buffer.from(JSON.stringify({ messages: [message] })),
      receivedAtMs: 0,
    } as const;
    expect(() => TWILIO_CONNECTOR.read(envelope, { platform: 'twilio', settings: {} })).not.toThrow();
  });
});

describe('a number with a zero too many', () => {
  it('is no E.164 number where more than 15 digits are left', () => {
    // The library drops the zero of the national prefix, of two zeros one.
    expect(parsePhoneAddress('+49007199254740993')).toEqual({ scheme: 'phone_raw', value: '+49007199254740993' });
    expect(parsePhoneAddress('+49 (0) 7199 254740').scheme).toBe('e164');
  });
});
