/**
 * Sources, API keys and relays: settings of the archive, sealed, and each change a record of the log.
 */
import { z } from 'zod';

import type { ApiKey, Scope } from '../access/api-keys.ts';
import { ALL_SCOPES } from '../access/api-keys.ts';
import type { ApiKeyId, RelayId, SourceId } from '../model/ids.ts';
import type { SettingChange, StoreReader } from '../store/store.ts';
import type { RandomPool } from '../vault/random.ts';
import type { Sealer } from '../vault/seal.ts';
import { openSetting, sealSetting } from '../vault/secrets.ts';

/** One connected account on one platform. */
export type Source = {
  readonly id: SourceId;
  readonly connector: string;
  readonly name: string;
  /** Signing secrets, newest first; several while one is being replaced. */
  readonly secrets: readonly string[];
  /** Connector settings, secret or not. */
  readonly settings: Readonly<Record<string, string>>;
  readonly account?: string;
  readonly region?: string;
  /** Set in tee mode: the shop's own handler, to which everything is passed on. */
  readonly teeUrl?: string;
  readonly maskOneTimeCodes: boolean;
  readonly createdAtMs: number;
  readonly removedAtMs?: number;
};

/** A machine in front of the archive's network that takes in what platforms send, and that the archive fetches it from. */
export type Relay = {
  readonly id: RelayId;
  readonly name: string;
  /** Under which the archive reaches it. */
  readonly url: string;
  /** The edge key that both have, in base64. */
  readonly key: string;
  readonly createdAtMs: number;
};

export const sourceSchema: z.ZodType<Source> = z.strictObject({
  id: z.custom<SourceId>((value) => typeof value === 'string'),
  connector: z.string(),
  name: z.string(),
  secrets: z.array(z.string()),
  settings: z.record(z.string(), z.string()),
  account: z.string().exactOptional(),
  region: z.string().exactOptional(),
  teeUrl: z.string().exactOptional(),
  maskOneTimeCodes: z.boolean(),
  createdAtMs: z.number(),
  removedAtMs: z.number().exactOptional(),
});

const keySchema: z.ZodType<ApiKey> = z.strictObject({
  id: z.custom<ApiKeyId>((value) => typeof value === 'string'),
  name: z.string(),
  scopes: z.array(z.enum(ALL_SCOPES as [Scope, ...Scope[]])),
  hash: z.string(),
  createdAtMs: z.number(),
  revokedAtMs: z.number().exactOptional(),
});

const relaySchema: z.ZodType<Relay> = z.strictObject({
  id: z.custom<RelayId>((value) => typeof value === 'string'),
  name: z.string(),
  url: z.string(),
  key: z.string(),
  createdAtMs: z.number(),
});

/** What is known of sources, keys and relays, held in memory. */
export type Registry = {
  findSource(id: SourceId): Source | undefined;
  listSources(): readonly Source[];
  findKey(id: ApiKeyId): ApiKey | undefined;
  listKeys(): readonly ApiKey[];
  listRelays(): readonly Relay[];
  /** The setting that stores a source or a key; the caller commits it with a record, then calls `adopt`. */
  changeSource(source: Source): SettingChange;
  changeKey(key: ApiKey): SettingChange;
  /** @param relay undefined where it is removed */
  changeRelay(id: RelayId, relay: Relay | undefined): SettingChange;
  adopt(changed: { readonly source?: Source; readonly key?: ApiKey }): void;
  adoptRelay(id: RelayId, relay: Relay | undefined): void;
  /** To be committed with each change, so that other nodes see that there was one. */
  noteChange(): SettingChange;
  /** Reads all anew where another node has changed something. */
  refresh(): Promise<void>;
};

/** Another value after each change. */
const VERSION = 'registry/version';

const SOURCE_PREFIX = 'source/';
const KEY_PREFIX = 'key/';
const RELAY_PREFIX = 'relay/';

/** Reads all sources, keys and relays. */
export async function openRegistry(reader: StoreReader, sealer: Sealer, random: RandomPool): Promise<Registry> {
  let sources = new Map<SourceId, Source>();
  let keys = new Map<ApiKeyId, ApiKey>();
  let relays = new Map<RelayId, Relay>();
  let version: Buffer | undefined;
  const read = <Value>(schema: z.ZodType<Value>, name: string, value: Uint8Array): Value =>
    schema.parse(JSON.parse(Buffer.from(openSetting(sealer, name, value)).toString('utf8')));
  const readVersion = async (): Promise<Buffer> => Buffer.from((await reader.readSetting(VERSION)) ?? []);
  const load = async (): Promise<void> => {
    // First: what is changed meanwhile is read again at the next look.
    const before = await readVersion();
    const readAll = async <Value extends { readonly id: string }>(prefix: string, schema: z.ZodType<Value>) =>
      new Map<Value['id'], Value>(
        (await reader.listSettings(prefix))
          .map(({ name, value }) => read(schema, name, value))
          .map((value) => [value.id, value]),
      );
    const found = [await readAll(SOURCE_PREFIX, sourceSchema), await readAll(KEY_PREFIX, keySchema)] as const;
    [sources, keys, relays] = [...found, await readAll(RELAY_PREFIX, relaySchema)];
    version = before;
  };
  await load();
  const change = (name: string, value: Source | ApiKey | Relay): SettingChange => ({
    name,
    value: sealSetting(sealer, name, Buffer.from(JSON.stringify(value), 'utf8'), random),
  });
  return {
    findSource: (id) => sources.get(id),
    listSources: () => [...sources.values()],
    findKey: (id) => keys.get(id),
    listKeys: () => [...keys.values()],
    listRelays: () => [...relays.values()],
    changeSource: (source) => change(SOURCE_PREFIX + source.id, source),
    changeKey: (key) => change(KEY_PREFIX + key.id, key),
    changeRelay: (id, relay) =>
      relay === undefined ? { name: RELAY_PREFIX + id, value: undefined } : change(RELAY_PREFIX + id, relay),
    adoptRelay(id, relay) {
      if (relay === undefined) relays.delete(id);
      else relays.set(id, relay);
    },
    adopt({ source, key }) {
      if (source !== undefined) sources.set(source.id, source);
      if (key !== undefined) keys.set(key.id, key);
    },
    noteChange: () => ({ name: VERSION, value: random.take(16) }),
    async refresh() {
      if (version === undefined || !version.equals(await readVersion())) await load();
    },
  };
}
