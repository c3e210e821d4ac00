/** Fuzz targets of the edge: what a relay is given and asked, what it answers, and the file that a machine knows its sources by. */
import * as fc from 'fast-check';

import { openEdgeKeyring, parseEdgeKey, parseEdgeKeyring, sealEdgeKeyring } from '../../src/capture/edge-keyring.ts';
import type { EdgeKeyring } from '../../src/capture/edge-keyring.ts';
import { checkRequest, isAnswerTo, signAnswer, signRequest } from '../../src/capture/relay-auth.ts';
import { parseRelayState } from '../../src/capture/relay-desk.ts';
import { formatId } from '../../src/model/ids.ts';
import { openUnder, sealUnder } from '../../src/vault/seal-under.ts';
import { hostileBytes, hostileJson, hostileText } from './arbitraries.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const NOW_MS = 1_700_000_000_000;
const key = new Uint8Array(32).fill(7);
const keyText = Buffer.from(key).toString('base64');
const keyring: EdgeKeyring = {
  archive: formatId('archive', new Uint8Array(16)),
  name: 'Shop',
  madeAtMs: NOW_MS,
  spool: { publicKey: new Uint8Array(32).fill(1), mac: new Uint8Array(32).fill(2) },
  sources: [
    {
      ...{ id: formatId('source', new Uint8Array(16)), connector: 'twilio', name: 's', secrets: ['x'], settings: {} },
      ...{ teeUrl: 'https://shop.example/sms', maskOneTimeCodes: false, createdAtMs: 0 },
    },
  ],
};
const sealed = sealEdgeKeyring(keyring, key);
const plain = Buffer.from(openUnder(key, 'edge keyring', sealed));
const plaintext = Buffer.from('what is sealed');
const state = {
  version: '1.0.0',
  madeAtMs: NOW_MS,
  spool: { envelopes: 1, bytes: 2, bytesMax: 3, oldestMs: null, damaged: 0 },
  files: [{ spool: 'spool', name: '000000000001.spool' }],
};
const request = { method: 'GET', path: '/relay/v1/state', body: new Uint8Array(0) };
const { authorization } = signRequest(key, request, NOW_MS);
const answer = signAnswer(key, 'nonce', plaintext);
const asBytes = (text: string): Uint8Array => Buffer.from(text);

export const EDGE_TARGETS: readonly Target[] = [
  defineTarget('edge key', ['parseEdgeKey'], hostileText([keyText, `${keyText}\n`]), (text) => {
    mustEqual(Buffer.from(parseEdgeKey(text)).toString('base64'), text.trim(), 'a key has two texts');
  }),
  defineTarget('sealed under a key', ['openUnder'], hostileBytes([sealUnder(key, 'use', plaintext)]), (bytes) => {
    mustEqual(openUnder(key, 'use', bytes), plaintext, 'what was altered was opened');
  }),
  defineTarget('sealed edge keyring', ['openEdgeKeyring'], hostileBytes([sealed]), (bytes) => {
    mustEqual(openEdgeKeyring(bytes, key), keyring, 'a keyring that was altered was opened');
  }),
  defineTarget(
    'edge keyring',
    ['parseEdgeKeyring'],
    fc.oneof(hostileBytes([plain]), hostileJson([JSON.parse(plain.toString())]).map(asBytes)),
    (bytes) => {
      const { spool } = parseEdgeKeyring(bytes);
      mustEqual([spool.publicKey.length, spool.mac.length], [32, 32], 'a key of another length');
    },
  ),
  defineTarget(
    'state of a relay',
    ['parseRelayState'],
    fc.oneof(hostileBytes([asBytes(JSON.stringify(state))]), hostileJson([state]).map(asBytes)),
    (bytes) => must(parseRelayState(bytes).files.length <= 128, 'more files than are named at once'),
  ),
  defineTarget('request to a relay', [], hostileText([authorization]), (text) => {
    checkRequest(key, text, request, NOW_MS);
    mustEqual(text, authorization, 'another request than the one that was signed was taken');
  }),
  defineTarget('answer of a relay', [], hostileText([answer]), (text) => {
    mustEqual(isAnswerTo(key, 'nonce', plaintext, text), text === answer, 'another answer was believed');
  }),
];
