/** Every platform that can be connected. Adding one is its file, its fixtures and a line here. */
import type { Connector } from '../connector.ts';
import { STANDARD_WEBHOOKS } from './standard-webhooks.ts';
import { TWILIO_CONNECTOR } from './twilio.ts';

export const CONNECTORS: readonly Connector[] = [TWILIO_CONNECTOR, STANDARD_WEBHOOKS];

const BY_NAME: ReadonlyMap<string, Connector> = new Map(CONNECTORS.map((connector) => [connector.name, connector]));

/** The connector of a name; undefined where this version has none of that name. */
export function findConnector(name: string): Connector | undefined {
  return BY_NAME.get(name);
}
