/** Sources: connect, list, give a new secret, remove; ask the platform for its list now. */
import { z } from 'zod';

import type { Source } from '../../archive/registry.ts';
import type { Connector } from '../../capture/connector.ts';
import { CONNECTORS, findConnector } from '../../capture/connectors/list.ts';
import { getConnector, hasCredentials, viewSource } from '../../capture/source-view.ts';
import { CartularyError } from '../../model/errors.ts';
import { parseId } from '../../model/ids.ts';
import { defineOperation } from '../operation.ts';
import { findMissing } from '../readiness.ts';
import type { Service } from '../service.ts';

const secret = z.string().min(1).max(4096);

/** Who owns the account on the platform and its token, and until when the token works. */
const ownership = {
  owner: z.string().min(1).max(200).optional(),
  expires: z.iso.date('is a day such as 2027-03-31').optional(),
};

type Ownership = z.infer<z.ZodObject<typeof ownership>>;

function careOf({ owner, expires }: Ownership) {
  return { ...(owner === undefined ? {} : { owner }), ...(expires === undefined ? {} : { expires }) };
}

const addSource = defineOperation(
  'source.add',
  z.strictObject({
    connector: z.string(),
    name: z.string().min(1).max(200),
    secret: secret.optional(),
    settings: z.record(z.string(), z.string().max(4096)).default({}),
    account: z.string().max(200).optional(),
    region: z
      .string()
      .regex(/^[A-Z]{2}$/, 'is a country code such as US')
      .optional(),
    tee: z.url({ protocol: /^https?$/ }).optional(),
    maskOneTimeCodes: z.boolean().default(false),
    ...ownership,
  }),
  async (args, { service, caller }) => {
    const connector = findConnector(args.connector);
    if (connector === undefined) {
      throw new CartularyError(
        'bad-input',
        `there is no connector "${args.connector.slice(0, 40)}"; there are ${CONNECTORS.map(({ name }) => name).join(', ')}`,
      );
    }
    assertSettings(connector, args.settings);
    if (args.secret === undefined)
      throw new CartularyError('bad-input', `${connector.title} signs what it sends: give its secret with --secret`);
    const source: Source = {
      id: service.archive.newSourceId(),
      connector: connector.name,
      name: args.name,
      secrets: [args.secret],
      settings: { ...defaultSettings(connector, args.secret, args.account), ...args.settings },
      ...(args.account === undefined ? {} : { account: args.account }),
      ...(args.region === undefined ? {} : { region: args.region }),
      ...(args.tee === undefined ? {} : { teeUrl: args.tee }),
      maskOneTimeCodes: args.maskOneTimeCodes,
      createdAtMs: service.now(),
    };
    // A list that cannot be asked for would be found out an hour later, in the log.
    const { pull } = connector;
    if (pull?.list !== undefined && hasCredentials(source.settings, pull)) pull.list(viewSource(source, connector), 0);
    await service.archive.putSource(caller, source);
    const care = careOf(args);
    if (Object.keys(care).length > 0) await service.archive.changeSourceCare(caller, source.id, care);
    const hookUrl = hookUrlOf(service, source);
    return {
      id: source.id,
      hookUrl,
      steps: connector.setupSteps(hookUrl),
      captures: connector.captures,
      doesNotGive: connector.doesNotGive,
      // Nothing waits for it: what comes is kept.
      missing: await findMissing(service),
    };
  },
);

const changeSource = defineOperation(
  'source.change',
  z.strictObject({ id: z.string(), ...ownership }),
  async (args, { service, caller }) => {
    const source = getSource(service, args.id);
    const care = careOf(args);
    if (Object.keys(care).length === 0) throw new CartularyError('bad-input', 'say what: --owner or --expires');
    return { id: source.id, ...(await service.archive.changeSourceCare(caller, source.id, care)) };
  },
);

const listSources = defineOperation('source.list', z.strictObject({}), async (_args, { service }) => {
  const sources = service.archive.registry.listSources().filter((source) => source.removedAtMs === undefined);
  return Promise.all(
    sources.map(async (source) => ({
      id: source.id,
      connector: source.connector,
      name: source.name,
      hookUrl: hookUrlOf(service, source),
      secrets: source.secrets.length,
      createdAt: new Date(source.createdAtMs).toISOString(),
      badSignatures: await service.ring.count(source.id),
    })),
  );
});

const renewSecret = defineOperation(
  'source.secret',
  z.strictObject({ id: z.string(), secret, keepOld: z.boolean().default(true) }),
  async (args, context) => {
    const { service, caller } = context;
    const source = getSource(service, args.id);
    // Both fit while the platform changes over; the newest stands first.
    const secrets = args.keepOld
      ? [args.secret, ...source.secrets.filter((known) => known !== args.secret)].slice(0, 3)
      : [args.secret];
    const changed = { ...source, secrets };
    await service.archive.putSource(caller, changed);
    const { releaseRing } = await import('../../capture/reprocess.ts');
    return {
      id: source.id,
      secrets: secrets.length,
      ring: await releaseRing(service.receive, changed, service.publicUrl()),
    };
  },
);

const removeSource = defineOperation(
  'source.remove',
  z.strictObject({ id: z.string() }),
  async (args, { service, caller }) => {
    const source = getSource(service, args.id);
    await service.archive.putSource(caller, { ...source, secrets: [], removedAtMs: service.now() });
    return { id: source.id, removed: true };
  },
);

const pollNow = defineOperation(
  'source.poll',
  z.strictObject({
    id: z.string(),
    hours: z
      .number()
      .min(1)
      .max(24 * 400)
      .default(72),
  }),
  async (args, { service, caller }) => {
    const source = getSource(service, args.id);
    if (getConnector(source).pull?.list === undefined)
      throw new CartularyError('bad-input', 'this platform gives no list');
    const { pollSource } = await import('../../capture/poll.ts');
    return service.archive.act(
      caller,
      'operate',
      'poll',
      { source: source.id, hours: args.hours },
      () => pollSource(service.work, source, service.now() - args.hours * 3_600_000),
      (result) => ({ ...result }),
    );
  },
);

/** Operations on sources. */
export const SOURCE_OPERATIONS = [addSource, changeSource, listSources, renewSecret, removeSource, pollNow];

/** Where a platform sends to. */
export function hookUrlOf(service: Service, source: Source): string {
  return `${service.publicUrl()}/hooks/${source.id}`;
}

function getSource(service: Service, id: string): Source {
  const source = service.archive.registry.findSource(parseId('source', id));
  if (source === undefined || source.removedAtMs !== undefined)
    throw new CartularyError('not-found', 'there is no such source');
  return source;
}

/** Settings that follow from what was given anyway. */
function defaultSettings(
  connector: Connector,
  signingSecret: string,
  account: string | undefined,
): Record<string, string> {
  const defaults: Record<string, string> = {};
  for (const setting of connector.settings) {
    if (setting.defaultsToSecret === true) defaults[setting.name] = signingSecret;
    if (setting.defaultsToAccount === true && account !== undefined) defaults[setting.name] = account;
  }
  return defaults;
}

function assertSettings(connector: Connector, settings: Readonly<Record<string, string>>): void {
  const known = new Set([...connector.settings.map(({ name }) => name), 'apiBaseUrl']);
  for (const name of Object.keys(settings)) {
    if (!known.has(name))
      throw new CartularyError(
        'bad-input',
        `${connector.title} has no setting "${name}"; it has ${[...known].join(', ')}`,
      );
  }
  const missing = connector.settings.find(({ name, required }) => required && settings[name] === undefined);
  if (missing !== undefined)
    throw new CartularyError('bad-input', `${connector.title} needs the setting "${missing.name}": ${missing.title}`);
}
