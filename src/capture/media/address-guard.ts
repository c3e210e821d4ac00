/**
 * Which hosts may be asked at all. URLs in webhooks are written by strangers, so a name that leads into the private network, to this machine or to a cloud's metadata service is
 * refused, whatever the URL looks like: the address is checked that is connected to, not the name.
 */
import { lookup as resolveName } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

import ipaddr from 'ipaddr.js';
import { Agent } from 'undici';

import { CartularyError } from '../../model/errors.ts';

/** A local stand-in (the demo, tests) that may be asked although its address is private, without TLS. */
export type PrivateHost = { readonly host: string; readonly port: number };

/** Resolves a name to all its addresses; handed in by tests. */
export type ResolveAll = (hostname: string) => Promise<readonly LookupAddress[]>;

/** The part of IPv6 that is given out for the public internet (RFC 4291 §2.4): all else is mapped, tunnelled, local or not in use. */
const GLOBAL_IPV6: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** Is this an address of the public internet? Forms that carry another address in them (`::ffff:10.0.0.1`, `::7f00:1`) are none. */
export function isPublicAddress(address: string): boolean {
  let parsed: ipaddr.IPv4 | ipaddr.IPv6;
  try {
    parsed = ipaddr.parse(address);
  } catch {
    return false;
  }
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(...GLOBAL_IPV6)) return false;
  return parsed.range() === 'unicast';
}

/** Is this URL one of the stand-ins? */
export function isPrivateHost(url: URL, allowed: readonly PrivateHost[]): boolean {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return allowed.some((one) => one.host === url.hostname && one.port === port);
}

/**
 * Checks a URL before it is asked: https on port 443, no credentials in it, no literal address of a private network.
 * @throws CartularyError `forbidden`
 */
export function assertAskable(url: URL, allowed: readonly PrivateHost[]): void {
  if (url.username !== '' || url.password !== '')
    throw new CartularyError('forbidden', 'an address with credentials in it is not asked');
  if (isPrivateHost(url, allowed)) return;
  if (url.protocol !== 'https:') throw new CartularyError('forbidden', 'only https is asked');
  if (url.port !== '' && url.port !== '443') throw new CartularyError('forbidden', 'only port 443 is asked');
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(literal) && !isPublicAddress(literal))
    throw new CartularyError('forbidden', 'a private address is not asked');
}

/** An agent that connects to public addresses only: every address of a name must be public, and the one that was checked is connected to. */
export function createPublicAgent(options: {
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly resolveAll?: ResolveAll;
}): Agent {
  const lookup: LookupFunction = (hostname, _options, callback) => {
    (options.resolveAll ?? resolveAllByDns)(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined || !addresses.every(({ address }) => isPublicAddress(address))) {
          callback(new CartularyError('forbidden', 'a name that leads to a private address is not asked'), []);
        } else callback(null, [first]);
      },
      (cause: unknown) => callback(cause as NodeJS.ErrnoException, []),
    );
  };
  return new Agent({
    connect: { lookup, timeout: 10_000 },
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.idleTimeoutMs,
    maxHeaderSize: 16 * 1024,
    connections: 16,
  });
}

/** An agent for stand-ins. */
export function createPrivateAgent(options: {
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}): Agent {
  return new Agent({ headersTimeout: options.headersTimeoutMs, bodyTimeout: options.idleTimeoutMs, connections: 16 });
}

function resolveAllByDns(hostname: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    resolveName(hostname, { all: true, verbatim: true }, (cause, addresses) =>
      cause === null ? resolve(addresses) : reject(cause),
    );
  });
}
