/**
 * What many messages of a month have in common: channel, direction, delivery state, record types. A row holds the number of its
 * profile, so that rows stay narrow, facets are counted by number, and a state that no message has is known without looking.
 */
import { CartularyError } from '../model/errors.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import type { IndexDocument } from './document.ts';
import { normalizeValue, toDirection } from './terms.ts';

/** One profile, and how many rows have it: in the index of the first ones, and beyond. */
export type ProfileCount = { readonly id: number; listed: number; unlisted: number };

/** The profiles of an open month. */
export type Profiles = {
  /** The profile of a document, made if it is new. */
  of(document: IndexDocument): ProfileCount;
  /** Counts a row in or out. @throws CartularyError `index-damaged` where there is no such profile */
  count(id: number, listed: boolean, change: 1 | -1): void;
  /** Writes what was counted; inside the transaction of the rows. */
  save(): void;
  /** Reads everything anew, after a transaction that failed. */
  reload(): void;
};

/** Kinds of documents remembered by how they are written; with more of them only the shortcut is lost. */
const KNOWN_MAX = 4_096;

/** Reads the profiles of a month. */
export function openProfiles(database: EncryptedDatabase): Profiles {
  const select = database.prepare<[], [number, string, string, string, string, number, number]>(
    'SELECT id, channel, direction, state, types, listed, unlisted FROM profile',
  );
  const insert = database.prepare('INSERT INTO profile(id, channel, direction, state, types) VALUES (?, ?, ?, ?, ?)');
  const update = database.prepare('UPDATE profile SET listed = ?, unlisted = ? WHERE id = ?');
  const byKey = new Map<string, ProfileCount>();
  const byId = new Map<number, ProfileCount>();
  const known = new Map<string, ProfileCount>();
  const changed = new Set<ProfileCount>();

  const add = (key: string, profile: ProfileCount): ProfileCount => {
    byKey.set(key, profile);
    byId.set(profile.id, profile);
    return profile;
  };
  const make = (document: IndexDocument): ProfileCount => {
    const channel = normalizeValue(document.channel);
    const direction = toDirection(document.direction);
    const state = normalizeValue(document.state);
    const types = [...new Set(document.types.map(normalizeValue))].sort().join('\n');
    const key = keyOf(channel, direction, state, types);
    const existing = byKey.get(key);
    if (existing !== undefined) return existing;
    const id = byId.size + 1;
    insert.run(id, channel, direction, state, types);
    return add(key, { id, listed: 0, unlisted: 0 });
  };
  const reload = (): void => {
    for (const map of [byKey, byId, known, changed]) map.clear();
    for (const [id, channel, direction, state, types, listed, unlisted] of select.raw().all()) {
      add(keyOf(channel, direction, state, types), { id, listed, unlisted });
    }
  };
  reload();
  return {
    of(document) {
      const written = keyOf(document.channel, document.direction, document.state, document.types.join('\n'));
      let profile = known.get(written);
      if (profile === undefined) {
        profile = make(document);
        if (known.size >= KNOWN_MAX) known.clear();
        known.set(written, profile);
      }
      return profile;
    },
    count(id, listed, change) {
      const profile = byId.get(id);
      if (profile === undefined)
        throw new CartularyError('index-damaged', 'a row of the search index names no profile');
      if (listed) profile.listed += change;
      else profile.unlisted += change;
      changed.add(profile);
    },
    save() {
      for (const { id, listed, unlisted } of changed) update.run(listed, unlisted, id);
      changed.clear();
    },
    reload,
  };
}

function keyOf(channel: string, direction: string, state: string, types: string): string {
  return `${channel}\u0000${direction}\u0000${state}\u0000${types}`;
}
