import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CartularyError } from '../../model/errors.ts';
import type { Event } from '../../model/event.ts';
import { formatRecord } from '../../model/record.ts';
import type { ArchiveRecord } from '../../model/record.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { createJsonlImporter, LINE_BYTES_MAX, RECORD_LINE_BYTES_MAX } from './jsonl.ts';
import type { EventLineParser } from './jsonl.ts';
import { cutBytes, eventItems, readItems, rejections } from './testing/read-items.ts';
import type { ReadItem } from './testing/read-items.ts';

const at = { ms: 1700000000000, precision: 'ms', zone: 'utc', origin: 'provider' } as const;
const target = { platform: 'acme', account: 'a1', id: 'm1' };

/** A line parser as the connector's would be: `{"id":…}` is a deletion, everything else is refused. */
const parseEventLine: EventLineParser = (line) => {
  const value = JSON.parse(Buffer.from(line).toString()) as { id?: string; boom?: string };
  if (value.boom === 'unreadable') throw new UnreadableEnvelope('the type is unknown');
  if (value.boom === 'error') throw new CartularyError('bad-input', 'the time is missing');
  if (value.boom === 'bug') throw new TypeError('a fault of ours');
  return [
    {
      kind: 'message.deleted',
      target: { ...target, id: value.id ?? '' },
      occurredAt: at,
      by: 'sender',
      scope: 'everyone',
    },
  ];
};
const importer = createJsonlImporter(parseEventLine);
const read = (input: Parameters<typeof readItems>[1]): Promise<ReadItem[]> => readItems(importer, input);

function recordLine(event: unknown, seq = 5): string {
  const record = {
    v: 1,
    archive: `arc_${'a'.repeat(32)}`,
    record: `rec_${seq.toString(16).padStart(32, '0')}`,
    message: `msg_${'c'.repeat(32)}`,
    actor: 'src_x',
    capturedAt: at,
    event,
  } as unknown as ArchiveRecord;
  return JSON.stringify({
    seq,
    leaf: Buffer.alloc(139, 1).toString('base64'),
    r: Buffer.alloc(32, 2).toString('base64'),
    record: Buffer.from(formatRecord(record)).toString('base64'),
  });
}

const created: Event = {
  kind: 'message.created',
  target,
  occurredAt: at,
  dedupe: 'created|m1',
  content: {
    channel: 'sms',
    direction: 'inbound',
    directionBasis: 'provider',
    from: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' } },
    to: [{ kind: 'shop', address: { scheme: 'short_code', value: '12345' }, role: 'to' }],
    thread: ['12345', '+4930123456'],
    threadKind: 'direct',
    body: { text: 'half a pair \ud83d and \u0000', format: 'plain' },
    parts: [{ kind: 'media', index: 0, mimeDeclared: 'image/png' }],
    contentState: 'present',
    origin: 'provider-api',
  },
  extra: { anything: [1, { deep: null }] },
};
const stored: Event = {
  kind: 'media.stored',
  target,
  occurredAt: at,
  dedupe: 'stored|m1|0',
  part: 0,
  media: { blob: 'b'.repeat(64), blobBytes: 99, bytes: 3, sha256: 'd'.repeat(64), mimeDeclared: 'image/png' },
};

describe('lines', () => {
  it.each([
    ['LF', '{"id":"a"}\n{"id":"b"}\n', [1, 2]],
    ['CRLF', '{"id":"a"}\r\n{"id":"b"}\r\n', [1, 2]],
    ['no last end', '{"id":"a"}\n{"id":"b"}', [1, 2]],
    ['a byte order mark', '\ufeff{"id":"a"}\n', [1]],
    ['empty lines', '\n{"id":"a"}\n \t\n\r\n{"id":"b"}\n\n', [2, 5]],
    ['nothing', '', []],
  ])('%s', async (_name, text, positions) => {
    const items = await read(text);
    expect(items.map((item) => ('position' in item ? item.position : 0))).toEqual(positions);
    expect(rejections(items)).toEqual([]);
    for (const item of eventItems(items)) {
      expect(Buffer.from(text).subarray(item.offset).includes(Buffer.from(item.part.body))).toBe(true);
      expect(JSON.parse(Buffer.from(item.part.body).toString())).toHaveProperty('id');
    }
  });

  it('rejects bad lines one by one, with their numbers and reasons', async () => {
    const lines = [
      Buffer.from('{"id":"a"}'),
      Buffer.from('{"id":"a"'),
      Buffer.from('[1]'),
      Buffer.from('"x"'),
      Buffer.from('{"id":"a\u0000"}'),
      Buffer.alloc(64),
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      Buffer.from('{"boom":"unreadable"}'),
      Buffer.from('{"boom":"error"}'),
      Buffer.from('\ufeff{"id":"mark in the middle"}'),
      Buffer.from('{"id":"z"}'),
    ];
    const items = await read(Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
    expect(
      items.map((item) => [item.kind, 'position' in item && item.position, 'reason' in item && item.reason]),
    ).toEqual([
      ['event', 1, false],
      ['rejected', 2, 'the line is not JSON'],
      ['rejected', 3, 'the line is not a JSON object'],
      ['rejected', 4, 'the line is not a JSON object'],
      ['rejected', 5, 'the line holds NUL bytes'],
      ['rejected', 6, 'the line holds NUL bytes'],
      ['rejected', 7, 'the line is not UTF-8'],
      ['rejected', 8, 'the type is unknown'],
      ['rejected', 9, 'the time is missing'],
      ['rejected', 10, 'the line is not JSON'],
      ['event', 11, false],
    ]);
  });

  it('does not hide a fault of ours', async () => {
    await expect(read('{"boom":"bug"}')).rejects.toThrow(TypeError);
  });

  it('takes lines up to the limit and rejects longer ones without holding them', async () => {
    const line = (bytes: number): string => `{"id":"${'x'.repeat(bytes - 9)}"}`;
    const items = await read(
      `${line(LINE_BYTES_MAX)}\r\n${line(LINE_BYTES_MAX + 1)}\n${line(RECORD_LINE_BYTES_MAX + 1)}\n${line(20)}\n`,
    );
    expect(items.map(({ kind }) => kind)).toEqual(['event', 'rejected', 'rejected', 'event']);
    expect(items[1]).toMatchObject({ position: 2, reason: `a line longer than ${LINE_BYTES_MAX} bytes` });
    expect(items[2]).toMatchObject({ position: 3, reason: `a line longer than ${RECORD_LINE_BYTES_MAX} bytes` });
    let heldMax = 0;
    const spaces = Buffer.alloc(1024 * 1024, 0x20);
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 120; index += 1) {
        yield spaces;
        heldMax = Math.max(heldMax, process.memoryUsage().external - before);
      }
    }
    const before = process.memoryUsage().external;
    const kinds = [];
    for await (const { kind } of importer.read({ chunks: endless(), fileSha256: '', bytesTotal: 0 }, {}))
      if (kind !== 'progress') kinds.push(kind);
    expect(kinds).toEqual(['rejected']);
    expect(heldMax).toBeLessThan(80e6);
  });

  it('refuses UTF-16 as a whole', async () => {
    expect(await read(Buffer.from('\ufeff{"id":"a"}\n', 'utf16le'))).toMatchObject([{ kind: 'rejected', position: 0 }]);
  });

  it('gives the same items however the bytes are cut', async () => {
    const bytes = Buffer.from(
      `\ufeff{"id":"ä"}\r\n\r\nnot json\n${recordLine(created)}\n{"id":"b"}\r\n${recordLine(stored)}`,
    );
    const whole = await read(bytes);
    expect(whole).toHaveLength(5);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 30 }), async (cuts) => {
        expect(await read(cutBytes(bytes, cuts))).toEqual(whole);
      }),
      { numRuns: 150, seed: 5 },
    );
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it('gives events without a dedupe text one that depends on the line alone', async () => {
    const once = eventItems(await read('{"id":"a"}\n{"id":"b"}\n')).map((item) => item.part.events[0]?.dedupe);
    const again = eventItems(await read('{"id":"b"}\r\n')).map((item) => item.part.events[0]?.dedupe);
    expect(once[0]).not.toBe(once[1]);
    expect(again).toEqual([once[1]]);
  });
});

describe('records of an export', () => {
  it('keep the original event, its key and its dedupe text', async () => {
    const line = recordLine(created);
    const [item] = eventItems(await read(`${line}\n`));
    expect(item?.part.events).toEqual([created]);
    expect(Buffer.from(item?.part.body ?? []).toString()).toBe(line);
  });

  it('get a dedupe text from the record id where the event has none', async () => {
    const { dedupe: _dedupe, ...bare } = created;
    const [item] = eventItems(await read(recordLine(bare, 7)));
    expect(item?.part.events[0]?.dedupe).toBe(`record|rec_${'7'.padStart(32, '0')}`);
  });

  it('turn a medium that is not beside the file into a lost one', async () => {
    const [item] = eventItems(await read(recordLine(stored)));
    expect(item?.part.events).toMatchObject([
      {
        kind: 'media.lost',
        dedupe: 'stored|m1|0',
        part: 0,
        reason: 'media-unavailable',
        extra: { sha256: 'd'.repeat(64) },
      },
    ]);
    expect(item?.media).toEqual([]);
  });

  it.each([
    ['audit', { kind: 'audit', act: { action: 'x', outcome: 'allowed', detail: {} } }],
    ['key.destroyed', { kind: 'key.destroyed', subject: 'x', reason: 'y' }],
    ['settings.changed', { kind: 'settings.changed', name: 'x', value: {} }],
    ['log.succeeded', { kind: 'log.succeeded', origin: 'x', size: 1, root: 'y' }],
  ])('of kind %s are refused', async (kind, body) => {
    expect(await read(recordLine({ target, occurredAt: at, ...body }))).toMatchObject([
      { kind: 'rejected', position: 1, reason: `a record of kind ${kind} can only come from the archive itself` },
    ]);
  });

  it.each([
    ['an unknown kind', { ...created, kind: 'message.burned' }],
    ['an unknown field', { ...created, secretWord: 'Rumpelstiltskin' }],
    ['a time out of range', { ...created, occurredAt: { ...at, ms: 1e18 } }],
    [
      'a wrong type deep inside',
      { ...created, content: { ...(created as { content: object }).content, to: [{ kind: 'shop' }] } },
    ],
    [
      'a secret in a free name',
      { ...created, content: { ...(created as { content: object }).content, times: { Rumpelstiltskin: 1 } } },
    ],
    ['nothing', undefined],
  ])('with %s are refused without quoting them', async (_name, event) => {
    const [item] = await read(recordLine(event));
    expect(item).toMatchObject({ kind: 'rejected', reason: expect.stringMatching(/^the event is not valid at /) });
    expect(JSON.stringify(item)).not.toContain('Rumpel');
  });

  it.each([
    ['{"leaf":"","r":"","record":5}', 'the record is not Base 64'],
    ['{"leaf":"","r":"","record":"***="}', 'the record is not Base 64'],
    ['{"leaf":"","r":"","record":"e30="}', 'the record has an unknown version'],
    ['{"leaf":"","r":"","record":"eyJ2IjoxfQ=="}', 'the record has no record id'],
    ['{"leaf":"","r":"","record":"eyJ2Ijo="}', 'the record is not JSON'],
  ])('%s', async (line, reason) => {
    expect(await read(line)).toMatchObject([{ kind: 'rejected', position: 1, reason }]);
  });
});
