/**
 * Who asks, and the one place where it is decided whether that is allowed: default deny.
 */
import type { ApiKey, Scope } from '../access/api-keys.ts';
import { CartularyError } from '../model/errors.ts';
import { idBytes, ID_BYTES } from '../model/ids.ts';
import type { RecordActor } from './recorder.ts';

/**
 * Who asks: a holder of an API key, or somebody on this machine who may open the data directory or its local socket (which the operating
 * system decides).
 */
export type Caller = { readonly kind: 'key'; readonly key: ApiKey } | { readonly kind: 'local'; readonly user: string };

/** How a caller is named in records. */
export function callerActor(caller: Caller): RecordActor {
  return caller.kind === 'key'
    ? { name: caller.key.id, id: idBytes(caller.key.id) }
    : { name: `local:${caller.user}`, id: new Uint8Array(ID_BYTES).fill(0xff) };
}

/** May this caller do that? */
export function isAllowed(caller: Caller, scope: Scope): boolean {
  return caller.kind === 'local' || caller.key.scopes.includes(scope);
}

/** @throws CartularyError `forbidden`, naming the scope that is missing */
export function assertAllowed(caller: Caller, scope: Scope): void {
  if (!isAllowed(caller, scope))
    throw new CartularyError('forbidden', `this key lacks the scope "${scope}"`, { detail: { scope } });
}
