/** Relays of an archive: which there are is a sealed setting each, and a record of the log. */
import type { Scope } from '../access/api-keys.ts';
import type { RelayId } from '../model/ids.ts';
import type { SettingChange } from '../store/store.ts';
import type { Caller } from './caller.ts';
import type { Registry, Relay } from './registry.ts';

/** @param commit puts a setting on record and stores it */
export function relayCare(
  registry: Registry,
  allow: (caller: Caller, scope: Scope, action: string) => Promise<void>,
  commit: (caller: Caller, name: string, value: Record<string, unknown>, change: SettingChange) => Promise<void>,
) {
  return {
    /** Adds a relay, or removes it. Its key is sealed. @param relay undefined where it is removed */
    async putRelay(caller: Caller, id: RelayId, relay: Relay | undefined): Promise<void> {
      await allow(caller, 'settings:write', 'change-relay');
      const value = relay === undefined ? { removed: true } : { name: relay.name, url: relay.url };
      await commit(caller, `relay/${id}`, value, registry.changeRelay(id, relay));
      registry.adoptRelay(id, relay);
    },
  };
}
