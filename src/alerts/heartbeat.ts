/**
 * The outbound heartbeat: a sign of life to somebody outside, who raises the alarm when it does not come. It is given only while the archive really works: a trial write became durable,
 * everything durable is signed, and the watch itself goes on. A server that is dead, stalled or cut off cannot say so; its silence does.
 */
import type { Archive } from '../archive/archive.ts';
import { lookForSigning } from './probes.ts';
import type { RouteOf } from './routes.ts';
import type { Answer } from './senders/answer.ts';
import { within } from '../jobs/within.ts';

/** Milliseconds within which the archive must prove that it works, and after which a beat that did not arrive is tried again. */
const PROOF_MS_MAX = 10_000;
const AGAIN_MS = 15_000;

export type HeartbeatParts = {
  readonly archive: Archive;
  readonly now: () => number;
  /** Does the watch look, and look again? */
  readonly isWatching: () => boolean;
  readonly send: (route: RouteOf<'heartbeat'>) => Promise<Answer>;
  readonly onAnswer: (route: RouteOf<'heartbeat'>, answer: Answer) => void;
  /** Told once when beats are withheld, and once when they go on. */
  readonly onWithheld: (isWithheld: boolean) => void;
};

/** Makes what gives the beats that are due. */
export function createHeartbeat(parts: HeartbeatParts): (routes: readonly RouteOf<'heartbeat'>[]) => Promise<void> {
  const nextMs = new Map<string, number>();
  let isWithheld = false;
  return async (routes) => {
    const due = routes.filter(({ id }) => (nextMs.get(id) ?? 0) <= parts.now());
    if (due.length === 0) return;
    const works = parts.isWatching() && (await isWorking(parts.archive));
    if (works === isWithheld) parts.onWithheld((isWithheld = !works));
    await Promise.all(
      due.map(async (route) => {
        const everyMs = route.settings.every * 1000;
        if (!works) return void nextMs.set(route.id, parts.now() + Math.min(AGAIN_MS, everyMs));
        const beganMs = parts.now();
        const answer = await parts.send(route);
        parts.onAnswer(route, answer);
        nextMs.set(route.id, beganMs + (answer.ok ? everyMs : Math.min(AGAIN_MS, everyMs)));
      }),
    );
  };
}

/** Can something be made durable, and is all that is durable signed? */
export async function isWorking(archive: Archive): Promise<boolean> {
  const proof = (async () => {
    await archive.proveWriting();
    return (await lookForSigning(archive)).length === 0;
  })().catch(() => false);
  return within(PROOF_MS_MAX, proof, false);
}
