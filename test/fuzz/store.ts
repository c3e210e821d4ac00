/** Fuzz targets of the model, of search, of what crosses between threads, and of the files of a data directory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';

import { ALL_SCOPES, authenticateApiKey, createApiKey, parseScopes } from '../../src/access/api-keys.ts';
import { findDestructionList } from '../../src/archive/destruction-list.ts';
import { readDocument, writeDocument } from '../../src/archive/fresh-documents.ts';
import { readHouseFile } from '../../src/archive/house-file.ts';
import { packRecord, succeededHead, unpackRecord } from '../../src/archive/record-codec.ts';
import { openSealBatch, readSealBatch } from '../../src/archive/seal-batch.ts';
import { readSignerMemory } from '../../src/archive/signer-memory.ts';
import { parseCount } from '../../src/cli/context.ts';
import { formatId, idBytes, parseId } from '../../src/model/ids.ts';
import { parsePhoneAddress } from '../../src/model/phone.ts';
import { formatRecord, parseRecord, parseRecordHead, parseRecordLabel } from '../../src/model/record.ts';
import type { ArchiveRecord } from '../../src/model/record.ts';
import {
  formatInstant,
  parseEpochInstant,
  parseIsoInstant,
  parseRfc2822Instant,
  TIME_MS_MAX,
} from '../../src/model/time.ts';
import type { Instant } from '../../src/model/time.ts';
import { findCursorNowMs, formatCursor, parseCursor } from '../../src/search/cursor.ts';
import { formatQuery } from '../../src/search/query-format.ts';
import { tokenizeSyntax } from '../../src/search/query-lexer.ts';
import { parseQuery } from '../../src/search/query.ts';
import { tokenize, tokenizeQuery } from '../../src/search/tokens.ts';
import { readSettings } from '../../src/settings.ts';
import { parseBlobUrl, parseCredentials } from '../../src/store/blob-location.ts';
import { decodeBatch, decodeResults, encodeBatch, encodeResults } from '../../src/store/batch-codec.ts';
import type { AppendEntry } from '../../src/store/store.ts';
import { hostileBytes, hostileJson, hostileText } from './arbitraries.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const NOW_MS = Date.UTC(2026, 10, 22);
const place = mkdtempSync(join(tmpdir(), 'cartulary-fuzz-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));
const file = join(place, 'file');

const id = formatId('message', Buffer.alloc(16, 1));
const instant: Instant = { ms: NOW_MS, precision: 'ms', zone: 'utc', origin: 'receipt' };
const record: ArchiveRecord = {
  v: 1,
  archive: formatId('archive', Buffer.alloc(16, 2)),
  record: formatId('record', Buffer.alloc(16, 3)),
  message: id,
  capturedAt: instant,
  event: {
    kind: 'gap.opened',
    reason: 'content-not-given',
    asked: ['p'],
    target: { platform: 'p', account: 'a', id: '"raw":{' },
    occurredAt: instant,
  },
  raw: { transport: 'webhook', body: 'where is my order', encoding: 'utf8' },
};
const recordBytes = formatRecord(record);
const packed = packRecord(recordBytes);

const entries: AppendEntry[] = [
  {
    messageId: Buffer.alloc(16, 1),
    secret: Buffer.alloc(32, 2),
    unique: Buffer.alloc(16, 3),
    leaf: Buffer.alloc(187, 4),
    sealed: Buffer.alloc(40, 5),
    jobs: [{ kind: 'media', dueAtMs: 5, payload: Buffer.from('x') }],
    settings: [{ name: 'a', value: undefined }],
  },
  {
    messageId: Buffer.alloc(16, 6),
    secret: Buffer.alloc(32, 7),
    unique: 'message',
    leaf: Buffer.alloc(0),
    sealed: Buffer.alloc(9),
  },
];
const sealBatch = openSealBatch(100);
sealBatch.add({
  messageId: Buffer.alloc(16, 1),
  recordId: Buffer.alloc(16, 2),
  actor: Buffer.alloc(16, 3),
  unique: 'message',
  fresh: true,
  kind: 1,
  timeMs: NOW_MS,
  head: '{"v":1}',
  raw: '{}',
  document: '[1]',
  jobs: [{ kind: 'media', dueAtMs: 1, payload: {} }],
  settings: [],
});
const sealBytes = new Uint8Array(sealBatch.finish());

const QUERIES: readonly string[] = [
  'refund OR (return -sale) from:+15551234567 "where is it"~5',
  'from:(anna OR ben) date:2026-01..2026-02 refund* r?fund refund~2',
  'refund w/5 (order OR parcel) has:media older_than:30d newer_than:6m',
  'status:delivered type:optout.request id:x brand:y channel:sms direction:inbound',
  'before:2026-01-31 after:today order:#1001-A NOT sale NEAR(4) "a b" pre/3 c',
];
const DATES = ['2026-11-22T12:00:00.123Z', '2026-11-22', '9999-12-31T23:59:59-12:00', '0000-01-01T00:00:00+05:30'];
const { key, text: keyText } = createApiKey('k', ['messages:read'], NOW_MS, (bytes) => Buffer.alloc(bytes, 5));
const query = parseQuery('refund', { nowMs: NOW_MS });
const cursor = formatCursor({ order: 'newest', month: '2026-11', row: 5, total: 9, totalRelation: 'eq' }, query);
const house = JSON.stringify({
  version: 1,
  archives: [{ id: record.archive, name: 'Shop', origin: 'o', createdAt: '2026-11-22T00:00:00.000Z' }],
});
const head = JSON.stringify({ origin: 'o', size: 3, root: Buffer.alloc(32).toString('base64') });
const list = `${JSON.stringify({ message: id })}\n${JSON.stringify({ message: id, seq: 5 })}\n`;
const yaml = 'data: ./data\nlisten: 127.0.0.1:8787\npublicUrl: https://shop.example\nlogLevel: info\nkeys: file:/k\n';
/** Only our own threads write these, so any document will do and hostile bytes will not. */
const words = fc.string({ unit: 'binary', maxLength: 20 });
const indexDocument = fc.record({
  messageNo: fc.nat(),
  sentAtMs: fc.nat(),
  text: words,
  channel: words,
  direction: words,
  source: words,
  conversation: words,
  from: fc.array(words),
  to: fc.array(words),
  types: fc.array(words),
  state: words,
  has: fc.array(words),
  orders: fc.array(words),
  ids: fc.array(words),
  brand: words,
});

/** A time that is kept can be written, and reads again as the same. */
function checkInstant(found: Instant | undefined): void {
  if (found === undefined) return;
  must(found.ms <= TIME_MS_MAX && Number.isSafeInteger(found.ms), 'a time that cannot be written');
  must(parseIsoInstant(formatInstant(found), 'provider')?.ms === found.ms, 'a time that reads otherwise');
}

const bufferOf = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

export const MODEL_TARGETS: readonly Target[] = [
  defineTarget(
    'phone numbers',
    ['parsePhoneAddress'],
    fc.tuple(
      hostileText(['+4915112345678', '0171 1234567', '12345', 'SHOP', '+1 (408) 247-8880 ext. 3']),
      fc.constantFrom(undefined, 'DE', 'US', 'ZZ', '', 'constructor', '__proto__'),
    ),
    ([text, region]) => {
      const address = parsePhoneAddress(text, region);
      if (address.scheme === 'e164') must(parsePhoneAddress(address.value).value === address.value, 'unstable');
    },
    { cost: 5 },
  ),
  defineTarget('times', ['parseIsoInstant'], hostileText(DATES), (text) =>
    checkInstant(parseIsoInstant(text, 'provider')),
  ),
  defineTarget(
    'RFC 2822 times',
    ['parseRfc2822Instant'],
    hostileText(['Thu, 30 Jul 2015 20:12:31 +0000', 'Sat, 1 Jan 0000 00:00:00 GMT', 'Sun, 31 Dec 9999 23:59:59 -1200']),
    (text) => checkInstant(parseRfc2822Instant(text, 'provider')),
  ),
  defineTarget(
    'epoch times',
    ['parseEpochInstant'],
    fc.tuple(
      fc.oneof(hostileText(['1700000000', '1700000000.123', '1700000000000']), fc.double(), fc.integer()),
      fc.constantFrom('s' as const, 'ms' as const),
    ),
    ([value, unit]) => checkInstant(parseEpochInstant(value, unit, 'provider')),
  ),
  defineTarget('ids', ['parseId'], hostileText([id]), (text) => {
    must(formatId('message', idBytes(parseId('message', text))) === text, 'an id has two forms');
  }),
  defineTarget(
    'record',
    ['parseRecord', 'parseRecordHead', 'parseRecordLabel'],
    fc.oneof(
      hostileBytes([recordBytes]),
      hostileJson([record]).map((text) => Uint8Array.from(Buffer.from(text))),
    ),
    (bytes) => {
      parseRecordLabel(bytes);
      parseRecordHead(bytes);
      parseRecord(bytes);
    },
  ),
  defineTarget('API key', ['authenticateApiKey'], hostileText([keyText]), (text) => {
    must(authenticateApiKey(text, (wanted) => (wanted === key.id ? key : undefined)) === key, 'another key');
    must(text === keyText, 'another text was taken for the key');
  }),
  defineTarget('scopes', ['parseScopes'], hostileText(['messages:read', 'operate', 'constructor']), (text) => {
    must(
      ALL_SCOPES.some((scope) => scope === parseScopes([text])[0]),
      'no such scope',
    );
  }),
  defineTarget('counts of the command line', ['parseCount'], hostileText(['1', '500']), (text) => {
    must(Number.isSafeInteger(parseCount('--n', text)), 'no count');
  }),
];

export const SEARCH_TARGETS: readonly Target[] = [
  defineTarget(
    'query',
    ['parseQuery', 'tokenizeSyntax', 'parseText', 'parseFieldValue', 'splitLooseWords'],
    hostileText(QUERIES),
    (text) => {
      tokenizeSyntax(text);
      const parsed = parseQuery(text, { nowMs: NOW_MS });
      const normal = formatQuery(parsed);
      let again;
      try {
        again = parseQuery(normal, { nowMs: NOW_MS });
      } catch (cause) {
        // The normal form spells out more than was typed, so a query at a limit may be past it.
        if (normal.length > 4096) return;
        throw new Error(`the normal form cannot be read: ${normal}`, { cause });
      }
      mustEqual(again.root, parsed.root, `the normal form means something else: ${normal}`);
    },
    { cost: 2 },
  ),
  defineTarget(
    'words',
    ['tokenize', 'tokenizeQuery'],
    hostileText(['größe 配送中です #1001-A +1 (555) 123-4567']),
    (text) => {
      must(
        tokenize(text).every((token) => token !== ''),
        'an empty word',
      );
      tokenizeQuery(text);
    },
  ),
  defineTarget(
    'cursor',
    ['parseCursor', 'findCursorNowMs'],
    fc.oneof(
      hostileText([cursor]),
      hostileText([Buffer.from(cursor, 'base64url').toString('latin1')]).map((text) =>
        Buffer.from(text, 'latin1').toString('base64url'),
      ),
    ),
    (text) => {
      const nowMs = findCursorNowMs(text);
      must(nowMs === undefined || !Number.isNaN(new Date(nowMs).getTime()), 'no moment');
      const parsed = parseCursor(text, query, 'newest');
      must(Number.isSafeInteger(parsed.row) && Number.isSafeInteger(parsed.total), 'a place that no row can have');
    },
  ),
];

export const STORE_TARGETS: readonly Target[] = [
  defineTarget(
    'place in a bucket',
    ['parseBlobUrl'],
    hostileText([
      's3://media-of-shop/a/b?region=eu-central-1&endpoint=https://s3.example:9000',
      's3://media?region=r&credentials=/etc/aws',
      's3://u:p@media/../x?region=r&endpoint=http://127.0.0.1',
    ]),
    (text) => {
      const { bucket, prefix, endpoint } = parseBlobUrl(text).place;
      must(/^[a-z0-9.-]{3,63}$/.test(bucket), 'a bucket of another name');
      must(prefix === '' || /^[^/].*[^/]\/$/.test(prefix), 'a prefix that is not one');
      must(!/(^|\/)\.{1,2}\//.test(prefix), 'a prefix that leads elsewhere');
      must(endpoint === undefined || new URL(endpoint).origin === endpoint, 'an endpoint with more than an origin');
    },
  ),
  defineTarget(
    'credentials file',
    ['parseCredentials'],
    hostileText([
      '[default]\naws_access_key_id = A\naws_secret_access_key = b\n',
      '[x]\n[default]\naws_session_token=t',
    ]),
    (text) => {
      const { accessKeyId, secretAccessKey } = parseCredentials(text);
      must(accessKeyId !== '' && secretAccessKey !== '', 'credentials that are none');
    },
  ),
  defineTarget('packed record', ['unpackRecord'], hostileBytes([packed, new Uint8Array([0, 1, 2])]), (bytes) => {
    const unpacked = unpackRecord(bytes);
    mustEqual(unpackRecord(packRecord(unpacked)), unpacked, 'a record is packed into another');
  }),
  defineTarget('packed bytes', ['packRecord'], fc.uint8Array({ maxLength: 2000 }), (bytes) => {
    mustEqual(unpackRecord(packRecord(bytes)), bytes, 'a record is packed into another');
  }),
  defineTarget('record of a succession', ['succeededHead'], hostileJson([record]), (text) => {
    succeededHead(Buffer.from(text));
  }),
  defineTarget(
    'batch of entries',
    ['decodeBatch', 'openAppendBatch'],
    hostileBytes([new Uint8Array(encodeBatch(entries))]),
    (bytes) => {
      const decoded = decodeBatch(bufferOf(bytes));
      mustEqual(decodeBatch(encodeBatch(decoded)), decoded, 'a batch is packed into another');
    },
  ),
  defineTarget(
    'results',
    ['decodeResults'],
    fc.array(
      fc.oneof(
        fc.record({
          status: fc.constantFrom('stored' as const, 'duplicate' as const),
          seq: fc.nat(),
          messageNo: fc.nat(),
        }),
        fc.record({ status: fc.constant('rekey' as const), secret: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
        fc.record({ status: fc.constant('closed' as const) }),
        fc.record({ status: fc.constant('failed' as const), reason: fc.string() }),
      ),
      { maxLength: 8 },
    ),
    (results) => mustEqual(decodeResults(encodeResults(results)), results, 'results are packed into others'),
  ),
  defineTarget('batch to be sealed', ['readSealBatch', 'openSealBatch'], hostileBytes([sealBytes]), (bytes) => {
    for (const item of readSealBatch(bufferOf(bytes))) must(item.messageId.length === 16, 'no id');
  }),
  defineTarget('document of the index', ['readDocument'], indexDocument, (document) => {
    const bytes = Buffer.from(writeDocument(document));
    mustEqual(readDocument(document.messageNo, bytes), document, 'a document is written as another');
  }),
  defineTarget(
    'house file',
    ['readHouseFile'],
    fc.oneof(hostileText([house]), hostileJson([JSON.parse(house)])),
    async (text) => {
      writeFileSync(file, text);
      must(typeof (await readHouseFile({ house: file })).id === 'string', 'no id');
    },
    { cost: 20, isAsync: true },
  ),
  defineTarget(
    'memory of the signer',
    ['readSignerMemory', 'openSignerMemory'],
    fc.oneof(hostileText([head]), hostileJson([JSON.parse(head)])),
    async (text) => {
      writeFileSync(file, text);
      const found = await readSignerMemory(file);
      must(found === undefined || found.root.length === 32, 'no root');
    },
    { cost: 20, isAsync: true },
  ),
  defineTarget(
    'destruction list',
    ['findDestructionList'],
    hostileText([list]),
    async (text) => {
      writeFileSync(file, text);
      for (const { message } of (await findDestructionList(file))?.values() ?? []) idBytes(parseId('message', message));
    },
    { cost: 20, isAsync: true },
  ),
  defineTarget(
    'settings',
    ['readSettings'],
    fc.tuple(
      hostileText([yaml, '{"data": "x", "listen": "localhost:1"}', 'a: &a [x]\nb: [*a,*a]\n']),
      hostileText(['127.0.0.1:8787', '[::1]:1', 'localhost:99999', 'https://shop.example/a']),
      fc.constantFrom('CARTULARY_LISTEN', 'CARTULARY_PUBLIC_URL', 'CARTULARY_KEYS', 'CARTULARY_PASSPHRASE_FILE', 'X'),
    ),
    ([text, value, name]) => {
      writeFileSync(file, text);
      const settings = readSettings({ [name]: value }, {}, file);
      must(settings.listen.port <= 65_535 && settings.data.startsWith('/'), 'unsafe settings');
    },
    { cost: 20 },
  ),
];
