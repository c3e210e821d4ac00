/**
 * The demo: a make-believe shop whose Twilio account sends to this archive. Everything goes the way it would in life: real requests over HTTP, signed as Twilio signs,
 * media and missing texts fetched from the stand-in by the archive's own jobs.
 */
import type { Caller } from '../archive/caller.ts';
import type { Source } from '../archive/registry.ts';
import { pollSource } from '../capture/poll.ts';
import { CartularyError } from '../model/errors.ts';
import type { Service } from '../api/service.ts';
import { playShop } from './play.ts';
import type { Delivery, Step } from './play.ts';
import { signForm } from './sign-form.ts';
import { ACCOUNT_SID, AUTH_TOKEN } from './stand-in.ts';
import type { TwilioStandIn } from './stand-in.ts';

export { startTwilioStandIn } from './stand-in.ts';
export type { TwilioStandIn } from './stand-in.ts';

/** What the demo is given. */
export type DemoOptions = {
  readonly standIn: TwilioStandIn;
  readonly service: Service;
  readonly hooksUrl: string;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  /** Messages of the past 90 days. */
  readonly backlog?: number;
  readonly seed?: number;
};

const BACKLOG = 3000;
const SEED = 1874;
const UNDER_WAY = 16;
const LIVE_EVERY_MS = 4000;
const SOURCE_NAME = 'Twilio of the demo shop';

/** Plays the shop until `signal` aborts. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const { service, say, signal } = options;
  const backlog = options.backlog ?? BACKLOG;
  const source = await ensureSource(options);
  const publicUrl = `${service.publicUrl()}/hooks/${source.id}`;
  const deliver = async (delivery: Delivery): Promise<void> => {
    const signature = signForm(delivery.forged === true ? 'not the token' : AUTH_TOKEN, publicUrl, delivery.fields);
    const answer = await fetch(`${options.hooksUrl}/hooks/${source.id}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
        'x-twilio-signature': signature,
        'user-agent': 'TwilioProxy/1.1',
      },
      body: new URLSearchParams(delivery.fields).toString(),
      signal,
    });
    await answer.arrayBuffer();
    if (answer.status !== 200 && delivery.forged !== true)
      throw new CartularyError('internal', `a delivery was answered ${answer.status}`);
  };
  const steps = playShop({ seed: options.seed ?? SEED, backlog, standInUrl: options.standIn.url, now: service.now });
  say(`The demo shop sends its last 90 days: about ${backlog} texts in 13 languages …`);
  const startedAt = performance.now();
  await playBacklog(options, steps, backlog, deliver);
  const polled = await pollSource(service.work, source, service.now() - 91 * 86_400_000);
  await service.archive.reachIndex();
  if (signal.aborted) return;
  say(
    `… done in ${((performance.now() - startedAt) / 1000).toFixed(0)} s. ${polled.stored} records came from Twilio's list: the texts of outbound messages, which callbacks do not carry.`,
  );
  sayWhatToTry(options);
  await playLive(options, steps, deliver);
}

async function playBacklog(
  options: DemoOptions,
  steps: Generator<Step>,
  backlog: number,
  deliver: (delivery: Delivery) => Promise<void>,
): Promise<void> {
  let played = 0;
  const worker = async (): Promise<void> => {
    while (played < backlog && !options.signal.aborted) {
      played += 1;
      const step = steps.next().value as Step;
      await playStep(options.standIn, step, deliver);
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
}

async function playLive(
  options: DemoOptions,
  steps: Generator<Step>,
  deliver: (delivery: Delivery) => Promise<void>,
): Promise<void> {
  while (!options.signal.aborted) {
    await playStep(options.standIn, steps.next().value as Step, deliver).catch((cause: unknown) => {
      if (!options.signal.aborted) throw cause;
    });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LIVE_EVERY_MS);
      options.signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });
  }
}

async function playStep(
  standIn: TwilioStandIn,
  step: Step,
  deliver: (delivery: Delivery) => Promise<void>,
): Promise<void> {
  standIn.addMessage(step.message);
  for (const { sid, bytes, mime } of step.media) standIn.addMedia(step.message.sid, sid, { bytes, mime });
  for (const delivery of step.deliveries) await deliver(delivery);
}

/** The demo's source; on a second start it is there already and only the stand-in's address is new. */
async function ensureSource({ service, standIn }: DemoOptions): Promise<Source> {
  const caller: Caller = { kind: 'local', user: 'demo' };
  const known = service.archive.registry.listSources().find((source) => source.name === SOURCE_NAME);
  const source: Source = {
    id: known?.id ?? service.archive.newSourceId(),
    connector: 'twilio',
    name: SOURCE_NAME,
    secrets: [AUTH_TOKEN],
    settings: { accountSid: ACCOUNT_SID, authToken: AUTH_TOKEN, apiBaseUrl: standIn.url },
    account: ACCOUNT_SID,
    maskOneTimeCodes: true,
    createdAtMs: known?.createdAtMs ?? service.now(),
  };
  await service.archive.putSource(caller, source);
  return source;
}

function sayWhatToTry({ service, say }: DemoOptions): void {
  const data = service.settings.data;
  say('Now try, in another terminal:');
  say(`  npx cartulary search --data ${data} refund`);
  say(`  npx cartulary search --data ${data} 'channel:whatsapp has:media'`);
  say(`  npx cartulary search --data ${data} type:optout.request`);
  say(`  npx cartulary verify --data ${data}`);
  say(`  npx cartulary export --data ${data} --out bundle.zip refund`);
  say(
    `  npx cartulary key create --data ${data} --name me      (then: curl -H "Authorization: Bearer KEY" '${service.publicUrl()}/api/v1/messages?q=refund')`,
  );
  say('The shop goes on; Ctrl-C stops it.');
}
