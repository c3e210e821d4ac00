/**
 * What arrived, before anybody has looked at it. Everything in it is controlled by whoever sent it.
 */
import type { Event } from './event.ts';
import type { Headers, Transport } from './record.ts';

export type Envelope = {
  readonly transport: Transport;
  readonly method: string;
  /** The public URL as configured and as the platform signed it, with its query; never built from the Host header. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Our clock, milliseconds since 1970. */
  readonly receivedAtMs: number;
};

/** What a connector may know of the source whose envelope it reads. */
export type SourceView = {
  readonly platform: string;
  /** The account on the platform, where the source was bound to one. */
  readonly account?: string;
  /** Region for numbers without a country code (ISO 3166-1 alpha-2). */
  readonly region?: string;
  /** Connector settings from `source add`. */
  readonly settings: Readonly<Record<string, string>>;
};

/**
 * One part of an envelope that belongs to one customer. `body` undefined: the part is the whole envelope, which is then kept as it came.
 */
export type EnvelopePart = {
  readonly body?: Uint8Array;
  readonly events: readonly Event[];
};

/** First value of a header, by lower-case name. */
export function findHeader(headers: Headers, name: string): string | undefined {
  for (const [key, value] of headers) {
    if (key.length === name.length && key.toLowerCase() === name) return value;
  }
  return undefined;
}
