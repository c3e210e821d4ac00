import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Event, EventOf } from '../../model/event.ts';
import { ELEMENT_BYTES_MAX, ELEMENT_MEDIA_BYTES_MAX } from './element-scan.ts';
import { createRowCounter, countRow } from './row-counter.ts';
import { smsBackupImporter } from './sms-backup.ts';
import { cutBytes, eventItems, readAll, readItems, rejections } from './testing/read-items.ts';
import type { ReadItem } from './testing/read-items.ts';

const FIXTURES = new URL('../../../test/data/sms-backup-surrogates/', import.meta.url);

const read = (input: Parameters<typeof readItems>[1], options = {}): Promise<ReadItem[]> =>
  readItems(smsBackupImporter, input, options);

function created(item: ReadItem | undefined): EventOf<'message.created'> {
  const event = item?.kind === 'event' ? item.part.events[0] : undefined;
  if (event?.kind !== 'message.created') throw new Error('no message.created here');
  return event;
}

function eventsOf(item: ReadItem | undefined): readonly Event[] {
  return item?.kind === 'event' ? item.part.events : [];
}

/** Escapes a text as the phone app does: every UTF-16 unit beyond ASCII-printables that it escapes becomes a decimal reference. */
function escapeLikeTheApp(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\n', '&#10;')
    .replaceAll('\r', '&#13;')
    .replaceAll('\t', '&#9;')
    .replaceAll(/[\ud800-\udfff]/g, (unit) => `&#${unit.charCodeAt(0)};`);
}

function smsElement(fields: Record<string, string | number> = {}): string {
  const all = { address: '+4930123456', date: 1700000000000, type: 1, body: 'hello', read: 1, status: -1, ...fields };
  return `<sms ${Object.entries(all)
    .map(([name, value]) => `${name}="${value}"`)
    .join(' ')} />`;
}

function backup(...elements: string[]): string {
  return `<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count="${elements.length}">\n${elements.join('\n')}\n</smses>`;
}

function mmsElement(options: { attributes?: string; parts?: string; addrs?: string } = {}): string {
  const attributes = options.attributes ?? 'date="1700000000000" msg_box="1" address="+4930123456" sub="null"';
  const addrs = options.addrs ?? '<addr address="+4930123456" type="137" charset="106" />';
  return `<mms ${attributes}><parts>${options.parts ?? ''}</parts><addrs>${addrs}</addrs></mms>`;
}

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(5000, 7)]);
const picture = (bytes: Buffer = PNG, more = ''): string =>
  `<part seq="0" ct="image/png" name="null" cl="image_0.png" text="null" data="${bytes.toString('base64')}" ${more}/>`;

/** One of everything, good and bad. */
const SAMPLE = [
  '\ufeff<?xml version="1.0" encoding="utf-8"?><!-- made by <sms body="no"/> a test -->\n<smses count="7" backup_set="x">',
  smsElement({ body: `two lines&#10;${escapeLikeTheApp('😀 & <b> "q"')}` }),
  '<!-- between -->',
  mmsElement({
    parts: `<part seq="-1" ct="application/smil" text='<smil/>'/>`.replace('<smil/>', '&lt;smil/&gt;') + picture(),
  }),
  '<sms address="1" date="1700000000001" type="1" body="unclosed />',
  smsElement({ address: 'SHOP', type: 2, date: 1700000000002, status: 0, body: '&#55357; alone &#xDE00; too' }),
  '<mms date="1700000003" msg_box="2" address="+4930111111~+4930222222"><parts><part ct="text/plain" text="group" />',
  smsElement({ date: 'soon' }),
  '<call number="1" date="2" />',
  smsElement({ date: 1700000000004, body: '&bomb;' }),
  '<mms date="1700000000005" msg_box="1" address="+4930123456"><parts><part ct="image/png" data="AAA*AAAA"/></parts></mms>',
].join('\n');

describe('the fixture that other tools get wrong', () => {
  it('gives the expected texts', async () => {
    const expected: unknown = JSON.parse(readFileSync(new URL('expected.json', FIXTURES), 'utf8'));
    const items = await read(readFileSync(new URL('sms.xml', FIXTURES)), { region: 'US' });
    const seen = eventItems(items).map((item) => {
      const { content } = created(item);
      const end = content.direction === 'inbound' ? content.from : content.to[0];
      const failed = eventsOf(item).some((event) => event.kind === 'message.status' && event.state === 'failed');
      return {
        address: end?.address.raw ?? end?.address.value,
        dir: content.direction === 'inbound' ? 'in' : 'out',
        ...(failed ? { status: 'failed' } : {}),
        // The fixture describes the third text in words: it is the literal "null".
        text:
          content.body?.text === 'null'
            ? 'literal 4-char string null is ambiguous: importer must record the ambiguity, not silently drop'
            : content.body?.text,
      };
    });
    expect(seen).toEqual(expected);
    expect(items).toHaveLength(4);
    expect(created(items[2]).extra).toMatchObject({ ambiguousNull: true });
    expect(created(items[3]).extra).toMatchObject({ loneSurrogates: 1 });
  });

  it('keeps the exact bytes of each element', async () => {
    const file = readFileSync(new URL('sms.xml', FIXTURES));
    for (const item of eventItems(await read(file))) {
      const { body } = item.part;
      expect(file.subarray(item.offset, item.offset + body.length).equals(body)).toBe(true);
      expect(Buffer.from(body).toString('latin1')).toMatch(/^<sms .*\/>$/s);
    }
  });

  it('names times by file, direction by provider, origin by import', async () => {
    const [, second] = await read(readFileSync(new URL('sms.xml', FIXTURES)), {
      region: 'US',
      ownAddress: '+15550001111',
    });
    const event = created(second);
    expect(event.target).toMatchObject({ platform: 'android-backup', account: '+15550001111' });
    expect(event.content).toMatchObject({
      channel: 'sms',
      direction: 'inbound',
      directionBasis: 'provider',
      origin: 'import',
      from: { kind: 'customer', address: { scheme: 'e164', value: '+15551234567', raw: '(555) 123-4567' } },
      to: [{ kind: 'shop', address: { scheme: 'e164', value: '+15550001111' } }],
      sentAt: { ms: 1479160219000, precision: 'ms', zone: 'utc', origin: 'file' },
      times: { received: { ms: 1479160221000, precision: 'ms', zone: 'utc', origin: 'file' } },
      thread: ['sms', 'e164||+15550001111', 'e164||+15551234567'],
    });
  });
});

describe('boxes and states', () => {
  it.each([
    [1, -1, 'inbound', undefined],
    [2, -1, 'outbound', 'sent'],
    [2, 0, 'outbound', 'delivered'],
    [2, 32, 'outbound', 'sent'],
    [2, 64, 'outbound', 'failed'],
    [3, -1, 'outbound', 'unknown'],
    [4, -1, 'outbound', 'sending'],
    [5, 64, 'outbound', 'failed'],
    [6, -1, 'outbound', 'queued'],
    [9, -1, 'unknown', undefined],
  ] as const)('sms type %i with status %i is %s, %s', async (type, status, direction, state) => {
    const [item] = await read(backup(smsElement({ type, status })));
    expect(created(item).content.direction).toBe(direction);
    const report = eventsOf(item)[1];
    expect(report?.kind === 'message.status' ? report.state : undefined).toBe(state);
    expect(created(item).extra?.['draft']).toBe(type === 3 ? true : undefined);
    expect('sentAt' in created(item).content).toBe(![3, 4, 6, 9].includes(type));
  });

  it('reads seconds and milliseconds', async () => {
    const items = await read(backup(smsElement({ date: 1700000000 }), smsElement({ date: 1700000000123 })));
    expect(created(items[0]).occurredAt).toMatchObject({ ms: 1700000000000, precision: 's' });
    expect(created(items[1]).occurredAt).toMatchObject({ ms: 1700000000123, precision: 'ms' });
  });

  it.each(['', 'null', 'soon', '-5', '1e9', '99999999999999999'])('rejects the date "%s" and goes on', async (date) => {
    const items = await read(backup(smsElement({ date }), smsElement()));
    expect(items.map(({ kind }) => kind)).toEqual(['rejected', 'event']);
    expect(items[0]).toMatchObject({ position: 1, reason: 'the date is missing or is not a time' });
  });
});

describe('MMS', () => {
  it('joins texts, skips SMIL, takes media out of the raw slice', async () => {
    const smil = '<part seq="-1" ct="application/smil" text="&lt;smil&gt;&lt;/smil&gt;" />';
    const text = (value: string): string => `<part seq="0" ct="text/plain" chset="106" text='${value}' />`;
    const [item] = await read(backup(mmsElement({ parts: smil + text('one') + picture() + text('two') })));
    if (item?.kind !== 'event') throw new Error('no event');
    expect(created(item).content).toMatchObject({
      channel: 'mms',
      body: { text: 'one\ntwo', format: 'plain' },
      parts: [{ kind: 'media', index: 0, mimeDeclared: 'image/png', fileName: 'image_0.png', role: 'image' }],
      contentState: 'present',
    });
    expect(item.media).toEqual([{ part: 0, bytes: PNG, sha256: createHash('sha256').update(PNG).digest('hex') }]);
    expect(Buffer.from(item.part.body).toString()).toBe(
      mmsElement({ parts: smil + text('one') + picture(Buffer.alloc(0)) + text('two') }),
    );
  });

  it('knows senders, recipients and roles of a group', async () => {
    const attributes =
      'date="1700000000000" msg_box="1" address="+4930111111~+4930222222" contact_name="Ann, (Unknown)"';
    const addrs =
      '<addr address="+4930222222" type="137"/><addr address="+4930111111" type="151"/><addr address="+4930999999" type="151"/>';
    const [item] = await read(backup(mmsElement({ attributes, addrs, parts: '<part ct="text/plain" text="hi"/>' })));
    expect(created(item).content).toMatchObject({
      from: { kind: 'customer', address: { value: '+4930222222' } },
      to: [
        { kind: 'shop', address: { value: '+4930999999' }, role: 'to' },
        { kind: 'customer', address: { value: '+4930111111' }, name: 'Ann', role: 'group' },
      ],
      thread: ['sms', 'phone', 'e164||+4930111111', 'e164||+4930222222'],
      threadKind: 'group',
    });
    expect(created(item).extra).toMatchObject({ ownAddressInferred: true });
  });

  it('gives outbound recipients their roles and takes insert-address-token for the phone itself', async () => {
    const attributes = 'date="1700000000000" msg_box="2" address="+4930111111~+4930222222~a@b.example"';
    const addrs =
      '<addr address="insert-address-token" type="137"/><addr address="+4930111111" type="151"/><addr address="+4930222222" type="130"/><addr address="A@b.example" type="129"/>';
    const [item] = await read(backup(mmsElement({ attributes, addrs, parts: '<part ct="text/plain" text="hi"/>' })));
    const { content } = created(item);
    expect(content.from).toEqual({ kind: 'shop', address: { scheme: 'handle', value: 'phone' } });
    expect(content.to.map(({ address, role }) => [address.value, role])).toEqual([
      ['+4930111111', 'to'],
      ['+4930222222', 'cc'],
      ['a@b.example', 'bcc'],
    ]);
  });

  it('keeps the message where a medium is damaged, absent or missing', async () => {
    const parts =
      '<part ct="text/plain" text="see"/><part ct="image/png" data="AAA*"/><part ct="image/gif" data="null"/>' +
      picture();
    const items = await read(backup(mmsElement({ parts })));
    expect(items.map(({ kind }) => kind)).toEqual(['event', 'rejected']);
    expect(items[1]).toMatchObject({ position: 1, partial: true });
    expect(eventsOf(items[0]).slice(1)).toMatchObject([
      { kind: 'media.lost', part: 0, reason: 'media-mismatch' },
      { kind: 'media.lost', part: 1, reason: 'media-unavailable' },
    ]);
    expect(items[0]?.kind === 'event' && items[0].media.map(({ part }) => part)).toEqual([2]);
  });

  it('says that a notification without content was not captured', async () => {
    const [item] = await read(
      backup(mmsElement({ attributes: 'date="1700000000" msg_box="1" m_type="130" address="1"' })),
    );
    expect(created(item).content).toMatchObject({ contentState: 'not-captured' });
  });
});

describe('identity', () => {
  const ids = (items: readonly ReadItem[]): string[] => eventItems(items).map((item) => created(item).target.id);

  it('is the same when a file is read again, and for an overlapping later backup', async () => {
    const rows = Array.from({ length: 20 }, (_, index) =>
      smsElement({ date: 1700000000000 + index, body: `n ${index}` }),
    );
    const first = ids(await read(backup(...rows.slice(0, 12))));
    const again = ids(await read(backup(...rows.slice(0, 12)), { region: 'DE' }));
    const later = ids(await read(backup(...rows.slice(8))));
    expect(again).toEqual(first);
    expect(later.slice(0, 4)).toEqual(first.slice(8));
    expect(new Set([...first, ...later]).size).toBe(20);
  });

  it('keeps identical rows of one file apart, and finds one of them again', async () => {
    const [first, second] = ids(await read(backup(smsElement(), smsElement())));
    expect(first).not.toBe(second);
    expect(ids(await read(backup(smsElement())))).toEqual([first]);
  });

  it('does not depend on state, names or formatting of the number', async () => {
    const [base] = ids(await read(backup(smsElement({ type: 6 }))));
    expect(
      ids(await read(backup(smsElement({ type: 2, contact_name: 'X', read: 0, address: '+49 30 123456' })))),
    ).toEqual([base]);
  });

  it.each([{ body: 'other' }, { date: 1700000000001 }, { address: '+4930123457' }, { type: 2 }, { subject: 's' }])(
    'differs with %o',
    async (change) => {
      const [a, b] = ids(await read(backup(smsElement(), smsElement(change))));
      expect(a).not.toBe(b);
    },
  );

  it('tells two pictures of the same second apart wherever they stand', async () => {
    const other = Buffer.concat([PNG, Buffer.of(1)]);
    const both = ids(await read(backup(mmsElement({ parts: picture() }), mmsElement({ parts: picture(other) }))));
    expect(ids(await read(backup(mmsElement({ parts: picture(other) }))))).toEqual([both[1]]);
  });

  it('counts rows exactly, also when the table grows', () => {
    const counter = createRowCounter(5000);
    const hashOf = (n: number): string => createHash('sha256').update(String(n)).digest('hex');
    for (let n = 0; n < 5000; n += 1) expect(countRow(counter, hashOf(n))).toBe(0);
    for (let n = 0; n < 5000; n += 7) expect(countRow(counter, hashOf(n))).toBe(1);
    expect(() => countRow(counter, hashOf(5001))).toThrow(/5000 different rows/);
  });
});

describe('texts', () => {
  it('survive as the app writes them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { minLength: 1, maxLength: 5 }),
        async (texts) => {
          // U+FFFE and U+FFFF exist in no XML and on no phone; they become U+FFFD.
          const wanted = texts.map((text) => text.replaceAll(/[\ufffe\uffff]/g, '\ufffd'));
          const items = await read(
            backup(
              ...texts.map((text, index) => smsElement({ date: 1700000000000 + index, body: escapeLikeTheApp(text) })),
            ),
          );
          expect(items.map((item) => created(item).content.body?.text)).toEqual(wanted);
        },
      ),
      { numRuns: 150, seed: 7 },
    );
  });

  it.each([
    ['&#55357;&#56832;', '😀', undefined],
    ['&#xD83D;&#xde00;', '😀', undefined],
    ['&#55357;&#xDE00;', '😀', undefined],
    ['&#55357; &#56832;', '\ufffd \ufffd', 2],
    ['&#56832;&#55357;', '\ufffd\ufffd', 2],
    ['&#55357;&#55357;&#56832;', '\ufffd😀', 1],
    ['&#128512;', '😀', undefined],
    ['&#0;&#7;\u0001', '\u0000\u0007\u0001', undefined],
    ['\ufdd0&#1;', '\ufdd0\ufffd', undefined],
    ['&#9999999;', '\ufffd', undefined],
  ])('%s', async (written, text, lone) => {
    const [item] = await read(backup(smsElement({ body: written })));
    expect(created(item).content.body?.text).toBe(text);
    expect(created(item).extra?.['loneSurrogates']).toBe(lone);
  });

  it('keeps a text that is not UTF-8 readable and says so', async () => {
    const file = Buffer.from(backup(smsElement({ body: 'caf#' })));
    file[file.indexOf('#')] = 0xe9;
    const [item] = await read(file);
    expect(created(item).content.body?.text).toBe('caf\ufffd');
    expect(created(item).extra).toMatchObject({ invalidUtf8: true });
  });
});

describe('files that are wrong', () => {
  it('gives the same items however the bytes are cut', async () => {
    const bytes = Buffer.from(SAMPLE);
    const whole = await read(bytes);
    expect(whole.map((item) => [item.kind, 'position' in item ? item.position : 0])).toEqual([
      ['event', 1],
      ['event', 2],
      ['rejected', 3],
      ['event', 4],
      ['rejected', 5],
      ['rejected', 6],
      ['rejected', 7],
      ['rejected', 8],
      ['event', 9],
      ['rejected', 9],
      ['rejected', 10],
      ['warning', 0],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async (cuts) => {
        expect(await read(cutBytes(bytes, cuts))).toEqual(whole);
      }),
      { numRuns: 200, seed: 11 },
    );
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it('imports what stands before a cut, wherever the file is cut', async () => {
    const bytes = Buffer.from(
      backup(smsElement({ body: 'a' }), mmsElement({ parts: picture(Buffer.alloc(30, 1)) }), smsElement({ body: 'b' })),
    );
    const whole = eventItems(await read(bytes));
    const end = bytes.length - '</smses>'.length;
    for (let cut = bytes.indexOf('<smses') + 7; cut <= end; cut += 1) {
      const items = await read(bytes.subarray(0, cut));
      const good = eventItems(items);
      expect(good).toEqual(whole.slice(0, good.length));
      expect(good).toHaveLength(
        whole.filter((item) => item.offset + 1 < cut && isWhole(bytes, item.offset, cut)).length,
      );
      expect(rejections(items)).toHaveLength(1);
      expect(rejections(items)[0]?.reason).toMatch(/the file ends|no element smses/);
    }
  });

  it('never throws and never loses its place on damaged bytes', async () => {
    const bytes = Buffer.from(SAMPLE);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.constantFrom(...Buffer.from('<>&"\'/=! \0-]?a;#'))), {
          minLength: 1,
          maxLength: 6,
        }),
        async (damage) => {
          const damaged = Buffer.from(bytes);
          for (const [at, byte] of damage) damaged[at] = byte;
          const items = await read(damaged);
          const positions = items.flatMap((item) => (item.kind === 'event' ? [item.position] : []));
          expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
        },
      ),
      { numRuns: 300, seed: 13 },
    );
  });

  it('refuses entity bombs and external entities, whole', async () => {
    const bomb = `<?xml version="1.0"?><!DOCTYPE smses [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`;
    const external = `<!DOCTYPE smses [<!ENTITY x SYSTEM "file:///etc/passwd">]>`;
    for (const declaration of [bomb, external, '<!ENTITY x "y">', '<!doctype x>']) {
      const items = await read(`${declaration}<smses count="1">${smsElement({ body: '&b;&x;' })}</smses>`);
      expect(items).toEqual([
        {
          kind: 'rejected',
          position: 0,
          offset: declaration.indexOf('<!'),
          reason: expect.stringMatching(/declaration/),
        },
      ]);
    }
  });

  it('stops at a declaration in the middle, after the good part', async () => {
    const items = await read(`<smses>${smsElement()}<!DOCTYPE x []>${smsElement({ body: 'b' })}</smses>`);
    expect(items.map(({ kind }) => kind)).toEqual(['event', 'rejected']);
  });

  it.each(['&bomb;', '&nbsp;', '&', '&#;', '&#xZZ;', '&__proto__;'])(
    'rejects the reference %s and goes on',
    async (reference) => {
      const items = await read(backup(smsElement({ body: reference }), smsElement()));
      expect(items.map(({ kind }) => kind)).toEqual(['rejected', 'event']);
      expect(JSON.stringify(items[0])).not.toContain(reference);
    },
  );

  it.each([
    ['PK\u0003\u0004…', /ZIP/],
    ['\u001f\u008b\u0008', /gzip|no element smses/],
    ['{"a":1}', /no element smses/],
    ['', /no element smses/],
    ['<calls count="1"><call number="1"/></calls>', /another kind of file/],
    [`<?xml version="1.0" encoding="ISO-8859-1"?><smses>${smsElement()}</smses>`, /not UTF-8/],
  ])('names what is no backup: %s', async (text, reason) => {
    const items = await read(Buffer.from(text, 'latin1'));
    expect(items).toEqual([{ kind: 'rejected', position: 0, offset: 0, reason: expect.stringMatching(reason) }]);
  });

  it('refuses UTF-16', async () => {
    const [item] = await read(Buffer.from(`\ufeff${backup(smsElement())}`, 'utf16le'));
    expect(item).toMatchObject({ kind: 'rejected', position: 0, reason: expect.stringMatching(/not UTF-8/) });
  });

  it('warns of a count that lies, and imports', async () => {
    const items = await read(`<smses count="5">${smsElement()}</smses>`);
    expect(items.map(({ kind }) => kind)).toEqual(['event', 'warning']);
  });

  it('reads backups one after another, and rows whose beginning is gone', async () => {
    expect((await read(backup(smsElement()) + backup(smsElement({ body: 'b' })))).map(({ kind }) => kind)).toEqual([
      'event',
      'event',
      'warning',
    ]);
    expect((await read(`y="1"/>${smsElement()}${smsElement({ body: 'b' })}</smses>`)).map(({ kind }) => kind)).toEqual([
      'event',
      'event',
      'warning',
    ]);
  });

  it('rejects an element larger than the limit, by name, and goes on', async () => {
    const items = await read(backup(smsElement({ body: 'x'.repeat(ELEMENT_BYTES_MAX) }), smsElement()));
    expect(items[0]).toMatchObject({ kind: 'rejected', reason: expect.stringContaining(String(ELEMENT_BYTES_MAX)) });
    expect(items[1]).toMatchObject({ kind: 'event', position: 2 });
  });

  it('rejects too many parts and too deep a nest', async () => {
    const items = await read(
      backup(
        mmsElement({ parts: '<part ct="text/plain" text="x"/>'.repeat(257) }),
        mmsElement({ parts: '<a>'.repeat(40) + '</a>'.repeat(40) }),
        smsElement(),
      ),
    );
    expect(items.map(({ kind }) => kind)).toEqual(['rejected', 'rejected', 'event']);
  });
});

function isWhole(bytes: Buffer, offset: number, cut: number): boolean {
  const name = bytes.toString('latin1', offset, offset + 4);
  const end = bytes.indexOf(name === '<sms' ? '/>' : '</mms>', offset) + (name === '<sms' ? 2 : 6);
  return end <= cut;
}

describe('large files', () => {
  async function* largeFile(rows: number, media: number): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`<smses count="${rows + media}">`);
    const block = Buffer.alloc(48 * 1024, 9).toString('base64');
    let out = '';
    for (let row = 0; row < rows; row += 1) {
      out += smsElement({
        date: 1700000000000 + row,
        address: `+4930${1000000 + (row % 999)}`,
        body: `Order ${row} has shipped &#55357;&#56396;`,
      });
      if (out.length < 65_536) continue;
      yield Buffer.from(out);
      out = '';
    }
    yield Buffer.from(out);
    for (let index = 0; index < media; index += 1) {
      yield Buffer.from(
        `<mms date="${1700000000000 + index}" msg_box="1" address="+4930123456"><parts><part ct="video/mp4" data="`,
      );
      for (let part = 0; part < 16 * 30; part += 1) yield Buffer.from(block);
      yield Buffer.from('"/></parts></mms>');
    }
    yield Buffer.from('</smses>');
  }

  it('reads 100 MB with bounded memory', async () => {
    const counts = { bytes: 0, events: 0, mediaBytes: 0, heapMax: 0, outsideMax: 0 };
    const before = process.memoryUsage();
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of largeFile(60_000, 3)) {
        counts.bytes += chunk.length;
        yield chunk;
      }
    }
    for await (const item of smsBackupImporter.read({ chunks: counted(), fileSha256: '', bytesTotal: 0 }, {})) {
      if (item.kind === 'event') {
        counts.events += 1;
        for (const { bytes } of item.media ?? []) counts.mediaBytes += (await readAll(bytes)).length;
      } else if (item.kind === 'progress') {
        const now = process.memoryUsage();
        counts.heapMax = Math.max(counts.heapMax, now.heapUsed - before.heapUsed);
        counts.outsideMax = Math.max(counts.outsideMax, now.external - before.external);
      } else throw new Error('nothing is wrong with this file');
    }
    expect(counts.bytes).toBeGreaterThan(100e6);
    expect(counts).toMatchObject({ events: 60_003, mediaBytes: 3 * 30 * 16 * 48 * 1024 });
    expect(counts.heapMax).toBeLessThan(100e6);
    expect(counts.outsideMax).toBeLessThan(150e6);
  });

  it('leaves out media beyond the budget of an element without holding them, and names the limit', async () => {
    async function* hugePart(): AsyncGenerator<Uint8Array> {
      const block = Buffer.from(Buffer.alloc(3 * 256 * 1024, 1).toString('base64'));
      yield Buffer.from(
        '<smses count="1"><mms date="1700000000000" msg_box="1" address="1"><parts><part ct="video/mp4" data="',
      );
      for (let bytes = 0; bytes <= 1.5 * ELEMENT_MEDIA_BYTES_MAX; bytes += 3 * 256 * 1024) yield block;
      yield Buffer.from('"/></parts></mms></smses>');
    }
    const items = [];
    const before = process.memoryUsage().external;
    let outsideMax = 0;
    for await (const item of smsBackupImporter.read({ chunks: hugePart(), fileSha256: '', bytesTotal: 0 }, {})) {
      outsideMax = Math.max(outsideMax, process.memoryUsage().external - before);
      if (item.kind !== 'progress') items.push(item);
    }
    expect(items).toMatchObject([
      {
        kind: 'event',
        part: { events: [{ kind: 'message.created' }, { kind: 'media.lost', reason: 'media-too-large' }] },
      },
      { kind: 'rejected', partial: true, reason: expect.stringContaining(String(ELEMENT_MEDIA_BYTES_MAX)) },
    ]);
    expect(outsideMax).toBeLessThan(2 * ELEMENT_MEDIA_BYTES_MAX);
  });
});
