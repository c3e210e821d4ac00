/**
 * Sends webhooks at a fixed rate whatever the answers are (an open loop), or as fast as a number of connections are answered (a closed one). Runs in a process of its own
 * (`flood-process.ts`). Latency counts from when a request was due, so that a server that does not take it in time cannot hide behind a sender that waits.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { createFloodMessages } from './flood-message.ts';
import type { FloodTarget } from './flood-message.ts';
import { addLatency, createLatencies } from './latencies.ts';
import type { Latencies } from './latencies.ts';

/** A stretch of time at one rate. */
export type Phase = {
  readonly seconds: number;
  /** Requests a second; as fast as they are answered where it is missing. */
  readonly perSecond?: number;
  readonly connections: number;
};

export type FloodPlan = FloodTarget & { readonly phases: readonly Phase[] };

/** What became of a phase. */
export type PhaseResult = {
  readonly seconds: number;
  readonly due: number;
  /** Requests that found every connection waiting for an answer when they were due: they were not sent. */
  readonly unsent: number;
  /** How late the sender itself was, from when each was due. */
  readonly lateness: Latencies;
  readonly acknowledged: Latencies;
  readonly refused: Latencies;
  /** 503 without Retry-After. */
  refusedBare: number;
  /** Answers that are neither 200 nor 503. */
  other: number;
  /** Requests whose connection ended before an answer. */
  cut: number;
  /** Milliseconds from the phase's start to the last answer that was a refusal or took longer than `SLOW_MS`. */
  lastBadMs: number;
};

/** What became of each message: by its number. */
export const FATE = { unsent: 0, unknown: 1, acknowledged: 2, refused: 3 } as const;

export type FloodResult = { readonly phases: readonly PhaseResult[]; readonly fates: Uint8Array };

/** Milliseconds up to which an answer counts as one of an unburdened server. */
export const SLOW_MS = 250;
/** Milliseconds that are waited for answers at the end of a phase. */
const TAIL_MS = 15_000;
/** Messages that one flood may have. */
const MESSAGES_MAX = 8_000_000;

type Counting = { -readonly [Name in keyof PhaseResult]: PhaseResult[Name] } & { startMs: number };
type Request = { readonly number: number; readonly dueMs: number; readonly phase: Counting };
type Line = { readonly socket: Socket; request: Request | undefined; partial: string; isOpen: boolean };

/** Runs a flood to its end. */
export async function runFlood(plan: FloodPlan): Promise<FloodResult> {
  const fates = new Uint8Array(MESSAGES_MAX);
  const lines = createLines(plan, fates);
  const phases: PhaseResult[] = [];
  let number = 0;
  for (const phase of plan.phases) {
    const counting = beginPhase();
    number = await runPhase(phase, counting, lines, number);
    counting.seconds = (performance.now() - counting.startMs) / 1000;
    await lines.settle(performance.now() + TAIL_MS);
    const { startMs: _startMs, ...result } = counting;
    phases.push(result);
  }
  lines.close();
  return { phases, fates: fates.slice(0, number) };
}

function beginPhase(): Counting {
  return {
    startMs: performance.now(),
    seconds: 0,
    due: 0,
    unsent: 0,
    lateness: createLatencies(),
    acknowledged: createLatencies(),
    refused: createLatencies(),
    refusedBare: 0,
    other: 0,
    cut: 0,
    lastBadMs: 0,
  };
}

/** @returns the number after the last one sent */
async function runPhase(phase: Phase, counting: Counting, lines: Lines, first: number): Promise<number> {
  const endMs = counting.startMs + phase.seconds * 1000;
  let number = first;
  for (let nowMs = performance.now(); nowMs < endMs && number < MESSAGES_MAX; nowMs = performance.now()) {
    const { perSecond } = phase;
    if (perSecond === undefined) {
      while (lines.hasRoom(phase.connections)) {
        counting.due += 1;
        lines.send({ number: number++, dueMs: performance.now(), phase: counting }, phase.connections);
      }
    } else {
      const dueNow = Math.floor(((nowMs - counting.startMs) / 1000) * perSecond);
      while (counting.due < dueNow) {
        const dueMs = counting.startMs + (counting.due / perSecond) * 1000;
        counting.due += 1;
        lines.send({ number: number++, dueMs, phase: counting }, phase.connections);
      }
    }
    await (perSecond === undefined ? new Promise((resolve) => lines.onAnswer(resolve)) : turn());
  }
  return number;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
}

type Lines = ReturnType<typeof createLines>;

/** The connections: opened as they are needed, each with one request under way, as platforms have them. */
function createLines(plan: FloodPlan, fates: Uint8Array) {
  const target = new URL(plan.url);
  const makeMessage = createFloodMessages(plan);
  const free: Line[] = [];
  let open = 0;
  let underWay = 0;
  let wake: (() => void) | undefined;

  const write = (line: Line, request: Request): void => {
    line.request = request;
    underWay += 1;
    addLatency(request.phase.lateness, performance.now() - request.dueMs);
    fates[request.number] = FATE.unknown;
    line.socket.write(makeMessage(request.number), 'latin1');
  };
  const drop = (line: Line): void => {
    if (line.isOpen) open -= 1;
    line.isOpen = false;
    line.socket.destroy();
  };
  const answered = (line: Line, text: string): void => {
    const { request } = line;
    if (request === undefined) return;
    line.request = undefined;
    underWay -= 1;
    count(request, text, fates);
    if (/\r\nconnection: close\r\n/i.test(text)) drop(line);
    else free.push(line);
    wake?.();
  };
  const openLine = (request: Request): void => {
    const socket = connect(Number(target.port), target.hostname);
    const line: Line = { socket, request: undefined, partial: '', isOpen: true };
    open += 1;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (data) => {
      const text = line.partial + String(data);
      line.partial = isWhole(text) ? '' : text;
      if (line.partial === '') answered(line, text);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      drop(line);
      if (line.request !== undefined) {
        line.request.phase.cut += 1;
        underWay -= 1;
        line.request = undefined;
      }
      wake?.();
    });
    write(line, request);
  };
  const takeFree = (): Line | undefined => {
    for (let line = free.pop(); line !== undefined; line = free.pop()) if (line.isOpen) return line;
    return undefined;
  };
  return {
    hasRoom: (connections: number): boolean => underWay < connections,
    send(request: Request, connections: number): void {
      const line = takeFree();
      if (line !== undefined) write(line, request);
      else if (open < connections) openLine(request);
      else request.phase.unsent += 1;
    },
    onAnswer(resolve: (value: unknown) => void): void {
      wake = () => {
        wake = undefined;
        resolve(undefined);
      };
    },
    /** Waits until nothing is under way, or the deadline. */
    async settle(deadlineMs: number): Promise<void> {
      const isIdle = (): boolean => underWay === 0;
      while (!isIdle() && performance.now() < deadlineMs) await turn();
    },
    close(): void {
      for (const line of free) line.socket.destroy();
    },
  };
}

function count({ number, dueMs, phase }: Request, text: string, fates: Uint8Array): void {
  const nowMs = performance.now();
  const ms = nowMs - dueMs;
  const status = text.slice(9, 12);
  if (status === '200') {
    fates[number] = FATE.acknowledged;
    addLatency(phase.acknowledged, ms);
  } else if (status === '503') {
    fates[number] = FATE.refused;
    addLatency(phase.refused, ms);
    if (!/\r\nretry-after: [1-9]\d*\r\n/i.test(text)) phase.refusedBare += 1;
  } else phase.other += 1;
  if (status !== '200' || ms > SLOW_MS) phase.lastBadMs = nowMs - phase.startMs;
}

/** Has an answer come to its end? */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(text) ?? [];
  return text.length >= end + 4 + Number(length);
}
