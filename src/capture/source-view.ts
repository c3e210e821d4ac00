/** A source and its connector: what they are to each other, without a word of what comes in. */
import type { Source } from '../archive/registry.ts';
import { CartularyError } from '../model/errors.ts';
import type { SourceView } from '../model/envelope.ts';
import type { Connector, PullAccess } from './connector.ts';
import { findConnector } from './connectors/list.ts';

/** The connector of a source. @throws CartularyError `internal` where this version knows it no longer */
export function getConnector(source: Source): Connector {
  const connector = findConnector(source.connector);
  if (connector === undefined)
    throw new CartularyError('internal', `this version has no connector "${source.connector}"`);
  return connector;
}

const views = new WeakMap<Source, SourceView>();

/** What a connector may see of a source: never a secret. */
export function viewSource(source: Source, connector: Connector): SourceView {
  const known = views.get(source);
  if (known !== undefined) return known;
  const secretNames = new Set(connector.settings.filter((setting) => setting.secret).map((setting) => setting.name));
  const view: SourceView = {
    platform: connector.platform,
    ...(source.account === undefined ? {} : { account: source.account }),
    ...(source.region === undefined ? {} : { region: source.region }),
    settings: Object.fromEntries(Object.entries(source.settings).filter(([name]) => !secretNames.has(name))),
  };
  views.set(source, view);
  return view;
}

/** Credentials that a source was not given cannot be asked with. */
export function hasCredentials(secrets: Source['settings'], pull: PullAccess): boolean {
  return Object.values(pull.credentials(secrets)).every((value) => !value.includes('undefined') && value !== '');
}
