/** Texts as a platform sends them: signed, and sent again until they are acknowledged, whoever is killed meanwhile. */
import type { Served } from './cli.ts';
import { inboundFields, inParallel, signedForm } from './twilio.ts';

/** A sender of texts for one hook. */
export type Texts = {
  /** Numbers of texts that were acknowledged. */
  readonly acknowledged: ReadonlySet<number>;
  /** Sends a text once. @returns the answer's status; undefined where nobody answers */
  send(number: number, token?: string): Promise<number | undefined>;
  /** Sends all texts from one number to before another until each is acknowledged. */
  sendAll(from: number, to: number): Promise<void>;
};

/** Milliseconds for which a text is sent again, since a start takes long on a busy machine, and the wait between two tries. */
const SENDING_MS_MAX = 120_000;
const AGAIN_MS = 25;
/** Milliseconds until filing must have begun. */
const FILING_MS_MAX = 30_000;

/**
 * @param hookUrl the public URL of the hook, which is signed
 * @param target the server that it is sent to now
 */
export function createTexts(hookUrl: () => string, target: () => string): Texts {
  const acknowledged = new Set<number>();
  const send: Texts['send'] = async (number, token) => {
    const form = signedForm(hookUrl(), inboundFields(sidOf(number), `parcel number ${number}`), token);
    const answer = await fetch(target() + new URL(hookUrl()).pathname, form).catch(() => undefined);
    await answer?.arrayBuffer().catch(() => undefined);
    if (answer?.status === 200) acknowledged.add(number);
    return answer?.status;
  };
  const sendUntil = async (number: number): Promise<void> => {
    const deadline = performance.now() + SENDING_MS_MAX;
    while (performance.now() < deadline) {
      if ((await send(number)) === 200) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    throw new Error(`nobody acknowledges text ${number}`);
  };
  return {
    acknowledged,
    send,
    sendAll: (from, to) =>
      inParallel(
        Array.from({ length: to - from }, (_none, at) => from + at),
        8,
        sendUntil,
      ),
  };
}

function sidOf(number: number): string {
  return `SM${String(number).padStart(32, '0')}`;
}

/** A signed request that the connector cannot read: it is kept as quarantine. */
export function unreadableForm(hookUrl: string): RequestInit & { body: string } {
  return signedForm(hookUrl, { AccountSid: 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c', Nothing: 'in it' });
}

/** Kills a server as soon as it has filed some of what waits. @param records how many it had before */
export async function killWhileFiling(server: Served, records: number): Promise<void> {
  const deadline = performance.now() + FILING_MS_MAX;
  while (performance.now() < deadline) {
    const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { records?: number };
    if ((ready.records ?? 0) > records) return server.kill();
  }
  throw new Error('filing has not begun');
}
