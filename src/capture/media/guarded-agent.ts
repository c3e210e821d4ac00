/** Agents that connect only where `address-guard.ts` lets them. */
import { lookup as resolveName } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

import { Agent } from 'undici';

import { CartularyError } from '../../model/errors.ts';
import { isPublicAddress } from './address-guard.ts';

/** Resolves a name to all its addresses; handed in by tests. */
export type ResolveAll = (hostname: string) => Promise<readonly LookupAddress[]>;

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
