/**
 * What a platform is to Cartulary: one file with a description (data) and a pure `read(envelope) → parts`. Adding a platform touches that
 * file, its fixtures, and one line in `connectors/list.ts`. No connector does I/O: where a platform must be asked, it says which request to
 * send, and the answer comes back to `read` as an envelope of transport `fetch` or `poll`.
 */
import type { Envelope, EnvelopePart, SourceView } from '../model/envelope.ts';
import type { MessageKey } from '../model/event.ts';
import type { SignatureScheme } from './signatures.ts';

/** A setting of a source, given with `source add`. Secrets are sealed and never shown again. */
export type ConnectorSetting = {
  readonly name: string;
  readonly title: string;
  readonly required: boolean;
  readonly secret: boolean;
  /** Where it is not given, the signing secret is it (Twilio's Auth Token is both). */
  readonly defaultsToSecret?: true;
  /** Where it is not given, the account that a message names is it. */
  readonly defaultsToAccount?: true;
};

/** A request to the platform's API, without its credentials. */
export type PlatformRequest = {
  readonly method: 'GET';
  readonly url: string;
  readonly accept: string;
};

/** How credentials are put on a request to the platform's own hosts. */
export type PlatformCredentials = (secrets: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;

/** A list that names the media of one message. */
export type MediaList = {
  readonly isList: (url: string) => boolean;
  /**
   * Finds the URL of a medium in a list.
   * @param url where the list was fetched from
   * @param part the medium's index among the parts
   * @returns undefined where the list does not name it
   */
  readonly locate: (url: string, list: Uint8Array, part: number) => string | undefined;
};

/** Where media come from and with which credentials. */
export type MediaAccess = {
  /** Host names (`api.twilio.com`) or suffixes (`.twiliocdn.com`) that media may be fetched from at all; empty: any public host, without credentials. */
  readonly hosts: readonly string[];
  /** Hosts that are given the credentials; a redirect goes without, wherever it leads. */
  readonly credentialHosts: readonly string[];
  readonly credentials?: PlatformCredentials;
  /** Where a platform names the media of a message in a list of its own, which is asked first. */
  readonly list?: MediaList;
  /** Largest medium kept, bytes. */
  readonly bytesMax: number;
  /** Time after the event until which media can still be fetched, milliseconds; orders the jobs. */
  readonly lossAfterMs: number;
};

/** How a platform is asked for what it did not send by itself. */
export type PullAccess = {
  readonly baseUrl: string;
  readonly credentials: PlatformCredentials;
  /** Asks for one message whose content is not known yet. */
  readonly fetchMessage?: (source: SourceView, key: MessageKey) => PlatformRequest;
  /** First page of everything sent since a time. */
  readonly list?: (source: SourceView, sinceMs: number) => PlatformRequest;
  /** The page after this answer, if there is one. */
  readonly nextPage?: (source: SourceView, answer: Envelope) => PlatformRequest | undefined;
};

/** What the platform is answered when its envelope was kept. */
export type Acknowledgement = { readonly status: number; readonly contentType: string; readonly body: string };

export type Connector = {
  readonly name: string;
  /** Raised whenever `read` gives other events for the same bytes. */
  readonly version: number;
  readonly title: string;
  readonly platform: string;
  readonly signature: SignatureScheme;
  readonly settings: readonly ConnectorSetting[];
  /**
   * Says what an envelope means. Pure: the same bytes give the same events.
   * @throws UnreadableEnvelope where it cannot be read; it is then kept whole as quarantine and acknowledged
   */
  readonly read: (envelope: Envelope, source: SourceView) => readonly EnvelopePart[];
  readonly acknowledgement: Acknowledgement;
  readonly media?: MediaAccess;
  readonly pull?: PullAccess;
  /** Lines for the person who connects the platform: what to enter where. */
  readonly setupSteps: (hookUrl: string) => readonly string[];
  readonly captures: readonly string[];
  readonly doesNotGive: readonly string[];
};
