import { describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import { checkRequest, isAnswerTo, relayChallenge, signAnswer, signRequest } from './relay-auth.ts';

const NOW_MS = 1_700_000_000_000;
const key = new Uint8Array(32).fill(7);
const other = new Uint8Array(32).fill(8);
const request = { method: 'POST', path: '/relay/v1/files/spool/1/settled', body: Buffer.from('{"outcome":"filed"}') };
const { authorization, nonce } = signRequest(key, request, NOW_MS);
const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (cause) {
    if (cause instanceof CartularyError) return cause.code;
  }
  return 'taken';
};

describe('a request of an archive to its relay', () => {
  it('is taken with its nonce', () => {
    expect(checkRequest(key, authorization, request, NOW_MS + 299_000)).toBe(nonce);
  });

  it.each([
    ['of another key', other, authorization, request, NOW_MS],
    ['without a word', key, undefined, request, NOW_MS],
    ['with an API key', key, 'Bearer x', request, NOW_MS],
    ['of another path', key, authorization, { ...request, path: '/relay/v1/state' }, NOW_MS],
    ['of another method', key, authorization, { ...request, method: 'GET' }, NOW_MS],
    ['of another body', key, authorization, { ...request, body: Buffer.from('{"outcome":"damaged"}') }, NOW_MS],
    ['of another nonce', key, authorization.replace(/n=./, 'n=x'), request, NOW_MS],
    ['of another time', key, authorization.replace('t=17', 't=18'), request, NOW_MS],
    ['that is old', key, authorization, request, NOW_MS + 301_000],
    ['of a time to come', key, authorization, request, NOW_MS - 301_000],
  ])('is refused %s', (_name, by, header, asked, nowMs) => {
    expect(codeOf(() => checkRequest(by, header, asked, nowMs))).toBe('unauthenticated');
  });
});

describe('an answer of a relay', () => {
  const body = Buffer.from('{"files":[]}');
  const mac = signAnswer(key, nonce, body);
  it('is believed to the request that it answers, and to no other', () => {
    expect(isAnswerTo(key, nonce, body, mac)).toBe(true);
    expect(isAnswerTo(key, signRequest(key, request, NOW_MS).nonce, body, mac)).toBe(false);
    expect(isAnswerTo(other, nonce, body, mac)).toBe(false);
    expect(isAnswerTo(key, nonce, Buffer.from('{}'), mac)).toBe(false);
    expect(isAnswerTo(key, nonce, body, '')).toBe(false);
  });

  it('to doctor is of one key and one question', () => {
    expect(relayChallenge(key, 'way-in 1')).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set([relayChallenge(key, 'a'), relayChallenge(key, 'b'), relayChallenge(other, 'a')]).size).toBe(3);
  });
});
