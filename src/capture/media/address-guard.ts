/**
 * Which hosts may be asked at all. URLs in webhooks are written by strangers, so a name that leads into the private network, to this machine or to a cloud's metadata service is
 * refused, whatever the URL looks like: the address is checked that is connected to, not the name.
 */
import ipaddr from 'ipaddr.js';

import { CartularyError } from '../../model/errors.ts';

/** A local stand-in (the demo, tests) that may be asked although its address is private, without TLS. */
export type PrivateHost = { readonly host: string; readonly port: number };

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
