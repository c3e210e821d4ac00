/**
 * From the internet to this process, step by step, as a platform comes: the name, the certificate, what answers there, its clock, and whether a signed request arrives as it was sent. A
 * step that was not reached says so instead of failing as well.
 */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:tls';

import { request } from 'undici';

import { within } from '../../jobs/within.ts';
import type { Source } from '../../archive/registry.ts';
import { findConnector } from '../../capture/connectors/list.ts';
import { parseEdgeKey } from '../../capture/edge-keyring.ts';
import { relayChallenge } from '../../capture/relay-auth.ts';
import { signTest } from '../../capture/sign-test.ts';
import type { TestRequest } from '../../capture/sign-test.ts';
import { isLoopback } from '../../settings.ts';
import { sha256 } from '../../vault/hash.ts';
import { CHALLENGE_PATH, doorToken } from '../routes/challenge.ts';
import type { DoorAnswer } from '../routes/challenge.ts';
import type { Service } from '../service.ts';
import { well } from './check.ts';
import type { Check, Step } from './check.ts';

const ANSWER_MS_MAX = 8000;
const BODY_BYTES_MAX = 65_536;
const DAY_MS = 86_400_000;
/** Days before the end of a certificate at which whoever renews it should have done so. */
const CERTIFICATE_DAYS_MIN = 14;
/** Seconds that clocks may differ: signatures of platforms hold for five minutes. */
const SKEW_WARNING_S = 10;
const SKEW_FAILED_S = 120;
/** Sources that are tried. */
const SOURCES_MAX = 50;

const NAME = 'way in: name';
const CERTIFICATE = 'way in: certificate';
const SERVER = 'way in';
const CLOCK = 'clock';

/** All of it in one step, since each part stands on the one before. */
export const WAY_IN: Step = { name: SERVER, msMax: 60_000, look: lookAtWayIn };

async function lookAtWayIn(service: Service, signal: AbortSignal): Promise<readonly Check[]> {
  const base = new URL(service.publicUrl());
  const name = await tryName(base.hostname);
  if (name.state === 'failed') return [name, notTried(CERTIFICATE), notTried(SERVER)];
  const certificate = await tryCertificate(base);
  if (certificate.state === 'failed') return [name, certificate, notTried(SERVER)];
  const { check, clockMs, answerer } = await tryServer(service, signal);
  const checks = [name, certificate, check, await tryClock(service, clockMs, signal)];
  if (clockMs === undefined || check.state === 'failed') return checks;
  const sources = service.archive.registry.listSources().filter(({ removedAtMs }) => removedAtMs === undefined);
  for (const source of sources.slice(0, SOURCES_MAX))
    checks.push(await tryDoor({ ...service, ...answerer }, source, signal));
  return checks;
}

function notTried(name: string): Check {
  return { name, state: 'warning', text: 'not tried, since the step before failed' };
}

async function tryName(host: string): Promise<Check> {
  const plain = host.replace(/^\[|\]$/g, '');
  try {
    const found = await within(ANSWER_MS_MAX, lookup(plain, { all: true }), []);
    if (found.length === 0) throw new Error('timeout');
    return well(
      NAME,
      `${plain} is ${found
        .map(({ address }) => address)
        .slice(0, 4)
        .join(', ')}`,
    );
  } catch {
    return {
      name: NAME,
      state: 'failed',
      text: `${plain} is not found`,
      hint: 'Enter the name at whoever runs your DNS, or correct CARTULARY_PUBLIC_URL.',
    };
  }
}

async function tryCertificate({ protocol, hostname, port }: URL): Promise<Check> {
  if (protocol !== 'https:')
    return isLoopback(hostname)
      ? well(CERTIFICATE, 'none is needed on this machine')
      : {
          name: CERTIFICATE,
          state: 'failed',
          text: 'the public address has no TLS: whoever is on the way reads every message',
          hint: 'Put a reverse proxy with a certificate before it; see docs/way-in.md.',
        };
  const found = await readCertificate(hostname, port === '' ? 443 : Number(port));
  if (typeof found === 'string')
    return {
      name: CERTIFICATE,
      state: 'failed',
      text: found,
      hint: 'Platforms refuse it. Renew it, send the chain with it, and see that it is for this name. One of your own authority: NODE_EXTRA_CA_CERTS.',
    };
  const days = Math.floor((found.validToMs - Date.now()) / DAY_MS);
  return days >= CERTIFICATE_DAYS_MIN
    ? well(CERTIFICATE, `valid for ${days} more days`)
    : { name: CERTIFICATE, state: 'warning', text: `ends in ${days} days`, hint: 'See why it was not renewed.' };
}

/** @returns until when it is valid, or what is wrong with it */
function readCertificate(host: string, port: number): Promise<{ readonly validToMs: number } | string> {
  return new Promise((resolve) => {
    // Looked at though it may not hold, to say why it does not; nothing is sent over this connection.
    const socket = connect({ host, port, servername: host, rejectUnauthorized: false, timeout: ANSWER_MS_MAX }, () => {
      const { valid_to: validTo } = socket.getPeerCertificate();
      const fault = socket.authorized ? undefined : String(socket.authorizationError);
      socket.destroy();
      resolve(fault === undefined ? { validToMs: Date.parse(validTo) } : `the certificate does not hold: ${fault}`);
    });
    socket.on('timeout', () => socket.destroy(new Error('timeout')));
    socket.on('error', () => resolve(`nobody speaks TLS at ${host}:${port}`));
  });
}

type Asked = { readonly status: number; readonly text: string; readonly date: string | undefined };

/** Asks an address. @returns undefined where nothing answers in time */
async function ask(url: string, signal: AbortSignal, sent?: TestRequest): Promise<Asked | undefined> {
  try {
    const answer = await request(url, {
      method: sent === undefined ? 'GET' : 'POST',
      ...(sent === undefined ? {} : { headers: sent.headers, body: sent.body }),
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
    });
    let text = '';
    for await (const chunk of answer.body) {
      text += String(chunk);
      if (text.length > BODY_BYTES_MAX) break;
    }
    const { date } = answer.headers;
    return { status: answer.statusCode, text, date: typeof date === 'string' ? date : undefined };
  } catch {
    return undefined;
  }
}

/** Who can answer at the public address: this server, or a relay of its archive. */
type Answerer = { readonly who: string; readonly answerChallenge: (text: string) => string };

function answerersOf({ answerChallenge, archive }: Service): Answerer[] {
  const relays = archive.registry.listRelays().map(({ name, key }) => ({
    who: `relay ${name}`,
    answerChallenge: (text: string) => relayChallenge(parseEdgeKey(key), text),
  }));
  return [{ who: 'this server', answerChallenge }, ...relays];
}

/** Is what answers at the public address this very archive, or its relay? */
async function tryServer(
  service: Service,
  signal: AbortSignal,
): Promise<{ readonly check: Check; readonly clockMs: number | undefined; readonly answerer?: Answerer }> {
  const url = service.publicUrl();
  const nonce = randomBytes(16).toString('hex');
  const answer = await ask(`${url}${CHALLENGE_PATH}${nonce}`, signal);
  const isHere = isLoopback(new URL(url).hostname);
  const clockMs = answer?.date === undefined ? undefined : Date.parse(answer.date) - Date.now();
  const say = (state: Check['state'], text: string, hint: string) => ({
    check: { name: SERVER, state, text, hint },
    clockMs,
  });
  if (answer === undefined)
    return isHere
      ? say('warning', `nobody listens at ${url}`, 'Start the archive ("cartulary start"), then run this again.')
      : say(
          'failed',
          `${url} cannot be reached from here`,
          'Check the reverse proxy and the firewall; see docs/way-in.md.',
        );
  if (answer.status !== 200)
    return say(
      'failed',
      `${url}${CHALLENGE_PATH}… answers ${answer.status}`,
      'Something stands before this server that does not let /hooks/ through; see docs/way-in.md.',
    );
  const said = readJson<{ answer: string }>(answer.text)?.answer;
  const answerer = answerersOf(service).find((one) => one.answerChallenge(`way-in ${nonce}`) === said);
  if (answerer === undefined)
    return say(
      'failed',
      `another server than this one answers at ${url}`,
      'Point the proxy, or CARTULARY_PUBLIC_URL, to this one: what platforms send now goes elsewhere.',
    );
  if (isHere)
    return {
      ...say(
        'warning',
        `${url} is reached from this machine only`,
        'See docs/way-in.md, then set CARTULARY_PUBLIC_URL.',
      ),
      answerer,
    };
  return { check: well(SERVER, `${url} leads to ${answerer.who}`), clockMs, answerer };
}

function readJson<Value>(text: string): Partial<Value> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Partial<Value>) : undefined;
  } catch {
    return undefined;
  }
}

/** Our clock against those of others: the one at the public address, and those of the platforms that are connected. */
async function tryClock(service: Service, wayInMs: number | undefined, signal: AbortSignal): Promise<Check> {
  const skews = wayInMs === undefined ? [] : [{ who: 'the public address', ms: wayInMs }];
  // On a machine that is only tried out nobody outside is asked.
  const hosts = isLoopback(new URL(service.publicUrl()).hostname) ? [] : platformHosts(service);
  for (const host of hosts) {
    const date = (await ask(`https://${host}/`, signal))?.date;
    if (date !== undefined) skews.push({ who: host, ms: Date.parse(date) - Date.now() });
  }
  const worst = skews.sort((one, other) => Math.abs(other.ms) - Math.abs(one.ms))[0];
  if (worst === undefined) return { name: CLOCK, state: 'warning', text: 'nobody could be asked for the time' };
  const seconds = Math.round(Math.abs(worst.ms) / 1000);
  if (seconds < SKEW_WARNING_S) return well(CLOCK, `as others have it (${skews.map(({ who }) => who).join(', ')})`);
  return {
    name: CLOCK,
    state: seconds < SKEW_FAILED_S ? 'warning' : 'failed',
    text: `${seconds} s ${worst.ms > 0 ? 'behind' : 'ahead of'} ${worst.who}`,
    hint: 'Have the machine keep time (NTP): signatures and times of messages are held against its clock.',
  };
}

function platformHosts({ archive }: Service): string[] {
  const hosts = archive.registry
    .listSources()
    .filter(({ removedAtMs, settings }) => removedAtMs === undefined && settings['apiBaseUrl'] === undefined)
    .flatMap(({ connector }) => findConnector(connector)?.pull?.baseUrl ?? [])
    .map((url) => new URL(url).host);
  return [...new Set(hosts)];
}

/** Sends two requests of our own by the way that the platform's come: one signed rightly, one signed wrongly. Neither is kept. */
async function tryDoor(service: Service, source: Source, signal: AbortSignal): Promise<Check> {
  const name = `door of ${source.name}`;
  const scheme = findConnector(source.connector)?.signature;
  const [secret = ''] = source.secrets;
  const nonce = randomBytes(16).toString('hex');
  const url = `${service.publicUrl()}${CHALLENGE_PATH}${source.id}/${doorToken(service, source, nonce)}`;
  const sign = (by: string) =>
    scheme === undefined ? undefined : signTest(scheme, { url, secret: by, word: nonce, nowMs: service.now() });
  const right = sign(secret);
  const wrong = sign(Buffer.from(sha256(Buffer.from(secret))).toString('base64'));
  if (right === undefined || wrong === undefined)
    return { name, state: 'warning', text: 'its kind of signature cannot be tried from here' };
  const answers = [await ask(url, signal, right), await ask(url, signal, wrong)].map((answer) =>
    answer?.status === 200 ? readJson<DoorAnswer>(answer.text) : undefined,
  );
  const [accepted, refused] = answers;
  const hint = 'The reverse proxy must pass path and body on unchanged; see docs/way-in.md.';
  if (accepted === undefined || refused === undefined)
    return { name, state: 'failed', text: 'a test request does not arrive', hint };
  if (accepted.bodySha256 !== Buffer.from(sha256(Buffer.from(right.body))).toString('hex'))
    return { name, state: 'failed', text: 'the body of a request arrives altered', hint };
  if (accepted.result !== 'valid')
    return {
      name,
      state: 'failed',
      text: `a request that is signed rightly would be refused: ${accepted.result}`,
      hint,
    };
  if (refused.result === 'valid' || refused.result === 'not-applicable')
    return {
      name,
      state: 'failed',
      text: 'a request that is signed wrongly would be kept',
      hint: 'Remove the source ("cartulary source remove") until there is a newer version.',
    };
  return well(name, 'what is signed rightly would be kept, what is signed wrongly refused');
}
