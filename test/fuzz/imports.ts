/** Fuzz targets of imports and of the evidence bundle: files that anybody may have made. */
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';

import { parseElement, repairXml } from '../../src/capture/imports/element-parser.ts';
import { createScan, finishScan, scanChunk } from '../../src/capture/imports/element-scanner.ts';
import { createLineSplitter, finishLines, splitLines } from '../../src/capture/imports/line-splitter.ts';
import { findImporter } from '../../src/capture/imports/list.ts';
import { cutBytes, readItems } from '../../src/capture/imports/testing/read-items.ts';
import { openBundle, readBundleLines } from '../../src/evidence/bundle-reader.ts';
import { buildSampleArchive, exportInput, exportToMemory } from '../../src/evidence/testing/sample-archive.ts';
import { forgeManifest, linesOf, putLines, unzip, zipOf } from '../../src/evidence/testing/zip-files.ts';
import { verifyBundle } from '../../src/evidence/verify-bundle.ts';
import { hostileBytes, hostileJson, hostileText } from './arbitraries.ts';
import { checkEvents } from './check-events.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const backup = readFileSync(new URL('../data/sms-backup-surrogates/sms.xml', import.meta.url));
const SMS = `<sms protocol="0" address="+4915112345678" date="1700000000000" type="1" subject="null" body="Where is it? &#55357;&#56396;" read="1" status="-1" date_sent="1699999999000" contact_name="Jane" />`;
const MMS = `<mms date="1700000000000" msg_box="1" address="+1~+2" m_id="x" sub="null" tr_id="t" m_type="132">
<parts><part seq="0" ct="text/plain" text="hello" /><part seq="1" ct="image/png" name="a" cl="a.png" data="iVBORw0KGgo=" /></parts>
<addrs><addr address="+1" type="137" charset="106" /><addr address="insert-address-token" type="151" charset="106" /></addrs></mms>`;
const XML = `<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!-- a backup -->\n<smses count="2">\n${SMS}\n${MMS}\n</smses>`;

const archive = await buildSampleArchive();
const { bytes: bundle } = await exportToMemory(exportInput(archive));
const files = await unzip(bundle);
const recordLines = linesOf(files, 'records.jsonl');
const record = JSON.parse(
  Buffer.from((JSON.parse(recordLines[0] ?? '') as { record: string }).record, 'base64').toString(),
) as unknown;
const EVENT = `{"type":"message.created","timestamp":"2026-11-22T12:00:00Z","data":{"id":"m1","channel":"sms","direction":"inbound","from":"+14155550100","to":["+14155550101"],"text":"Hi"}}`;
const place = mkdtempSync(join(tmpdir(), 'cartulary-fuzz-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

const cuts = fc.array(fc.nat(5_000), { maxLength: 3 });

/** The same items however the bytes are cut, and events that can be kept. */
async function readImport(name: string, bytes: Uint8Array, at: readonly number[]): Promise<void> {
  const importer = findImporter(name);
  if (importer === undefined) throw new Error(`no importer ${name}`);
  const items = await readItems(importer, bytes, { ownAddress: '+4930123456' });
  mustEqual(await readItems(importer, cutBytes(bytes, at), { ownAddress: '+4930123456' }), items, 'cuts change items');
  for (const item of items) {
    if (item.kind === 'event') checkEvents(item.part.events);
    else if (item.kind !== 'progress') must(item.reason !== '', 'a rejection without a reason');
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(bytes);
}

let written = 0;
async function verify(bytes: Uint8Array): Promise<boolean> {
  const path = join(place, String((written += 1)));
  writeFileSync(path, bytes);
  try {
    return (await verifyBundle(path, { logKey: archive.logKey })).ok;
  } finally {
    rmSync(path);
  }
}

export const IMPORT_TARGETS: readonly Target[] = [
  defineTarget(
    'phone backup',
    ['readBackupMessage', 'readParts', 'openElement'],
    fc.tuple(hostileBytes([XML, backup.subarray(0, 4_000)]), cuts),
    ([bytes, at]) => readImport('sms-backup', bytes, at),
    { cost: 20, isAsync: true },
  ),
  defineTarget('XML element', ['parseElement'], hostileText([SMS, MMS]), (text) => {
    repairXml(text);
    const element = parseElement(Buffer.from(text));
    if (typeof element === 'string') return;
    must(Object.getPrototypeOf(element.attributes) !== Array.prototype, 'attributes are a list');
  }),
  defineTarget('XML scanner', ['scanChunk', 'finishScan'], fc.tuple(hostileBytes([XML]), cuts), ([bytes, at]) => {
    const scan = createScan();
    let items = 0;
    for (const chunk of cutBytes(bytes, at)) for (const _ of scanChunk(scan, Buffer.from(chunk))) items += 1;
    for (const _ of finishScan(scan)) items += 1;
    must(items <= bytes.length, 'more items than bytes');
  }),
  defineTarget('lines', ['splitLines', 'finishLines'], fc.tuple(hostileBytes(['a\nb\r\n\nc']), cuts), ([bytes, at]) => {
    const splitter = createLineSplitter(50);
    const lines = cutBytes(bytes, at).flatMap((chunk) => [...splitLines(splitter, Buffer.from(chunk))]);
    lines.push(...finishLines(splitter));
    const expected = Buffer.from(bytes).toString('latin1').split('\n');
    if (expected.at(-1) === '') expected.pop();
    const found = lines.map((line) => line.bytes?.toString('latin1'));
    mustEqual(
      found,
      expected.map((line) => line.replace(/\r$/, '')).map((line) => (line.length > 50 ? undefined : line)),
      'lines',
    );
  }),
  defineTarget(
    'JSON Lines',
    [],
    fc.tuple(
      fc.oneof(
        hostileBytes([`${EVENT}\n${recordLines[0] ?? ''}\n`]),
        hostileJson([JSON.parse(EVENT)]).map((line) => Buffer.from(`${line}\n`)),
        hostileJson([record]).map((text) =>
          Buffer.from(`${JSON.stringify({ leaf: '', r: '', record: Buffer.from(text).toString('base64') })}\n`),
        ),
      ),
      cuts,
    ),
    ([bytes, at]) => readImport('jsonl', bytes, at),
    { cost: 20, isAsync: true },
  ),
  defineTarget(
    'ZIP of a bundle',
    ['openBundle', 'readWhole', 'verifyBundle'],
    hostileBytes([bundle]),
    async (bytes) => {
      if (await verify(bytes)) must((await zipOf(await unzip(Buffer.from(bytes)))).length > 0, 'no ZIP');
      const path = join(place, 'open');
      writeFileSync(path, bytes);
      (await openBundle(path)).close();
    },
    { cost: 200, isAsync: true },
  ),
  defineTarget(
    'files of a bundle',
    ['verifyProofFile', 'checkRecords'],
    fc.oneof(
      fc
        .tuple(
          fc.constantFrom('records.jsonl', 'proofs.jsonl', 'messages.jsonl', 'checkpoint', 'gaps.jsonl'),
          fc.nat(20),
        )
        .chain(([name, line]) => {
          const lines = linesOf(files, name);
          const at = line % Math.max(1, lines.length);
          return hostileText([lines[at] ?? '']).map((text) => ({ name, at, text }));
        }),
      hostileJson([record]).map((text) => {
        const line = JSON.parse(recordLines[0] ?? '{}') as Record<string, unknown>;
        return {
          name: 'records.jsonl',
          at: 0,
          text: JSON.stringify({ ...line, record: Buffer.from(text).toString('base64') }),
        };
      }),
      hostileText([JSON.stringify(JSON.parse(files.get('manifest.json')?.toString() ?? ''))]).map((text) => ({
        name: 'manifest.json',
        at: 0,
        text,
      })),
    ),
    async ({ name, at, text }) => {
      const changed = new Map(files);
      const lines = linesOf(files, name);
      const same = name !== 'manifest.json' && lines[at] === text;
      if (name === 'manifest.json') changed.set(name, Buffer.from(text));
      else putLines(changed, name, lines.with(at, text));
      if (name !== 'manifest.json') forgeManifest(changed);
      const ok = await verify(await zipOf(changed));
      must(
        ok === same || name === 'manifest.json',
        same ? 'a true bundle was refused' : 'a forged bundle was taken for true',
      );
    },
    { cost: 400, isAsync: true },
  ),
  defineTarget(
    'lines of a bundle',
    ['readBundleLines'],
    hostileBytes(['{"a":1}\n{"b":2}\n']),
    async (bytes) => {
      const lines = [];
      for await (const line of readBundleLines('records.jsonl', once(bytes))) lines.push(`${line}\n`);
      mustEqual(Buffer.from(lines.join('')), Buffer.from(bytes), 'lines are not what the file holds');
    },
    { cost: 5, isAsync: true },
  ),
];
