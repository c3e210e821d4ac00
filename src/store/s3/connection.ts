/**
 * Calls of an S3 server. Each has a limit of time and is tried again where that can help; what comes out of here is an error of the catalogue that names the operation and
 * the server's code, and neither an address nor anything that was signed.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { S3Client } from '@aws-sdk/client-s3';

import { CartularyError } from '../../model/errors.ts';
import type { S3Location } from '../blob-location.ts';

/** Limits of one store. */
export type S3Limits = {
  /** How often a call is tried, the first time included. */
  readonly attemptsMax: number;
  /** How long the head of an answer may take; for what is sent, so much longer as it takes at `sendBytesPerSecondMin`. */
  readonly attemptMsMax: number;
  readonly sendBytesPerSecondMin: number;
  /** How long the next bytes of an answer may take. */
  readonly idleMsMax: number;
  /** After this a call is not tried again. */
  readonly totalMsMax: number;
  /** The first pause is up to this; each further one up to twice as long, up to `pauseMsMax`. */
  readonly pauseMsMin: number;
  readonly pauseMsMax: number;
  /** What is larger is sent in parts of this size; S3 takes none below 5 MiB, and 10,000 at most. */
  readonly partBytes: number;
  /** Keys that are listed at a time. */
  readonly listMax: number;
  /** Uploads that were begun longer ago are nobody's any more. Of other nodes there may be younger ones. */
  readonly abandonedMs: number;
};

export const S3_LIMITS: S3Limits = {
  attemptsMax: 5,
  attemptMsMax: 30_000,
  sendBytesPerSecondMin: 64 * 1024,
  idleMsMax: 20_000,
  totalMsMax: 120_000,
  pauseMsMin: 200,
  pauseMsMax: 5000,
  partBytes: 8 * 1024 * 1024,
  listMax: 1000,
  abandonedMs: 86_400_000,
};

/** What a call is handed to the client's `send` with. */
export type SendOptions = { readonly abortSignal: AbortSignal };

/** A bucket that can be asked. */
export type S3Connection = {
  readonly bucket: string;
  readonly limits: S3Limits;
  /**
   * Makes a call.
   * @param what what it is for, for the error: "read a blob"
   * @param bytes how many are sent
   * @throws CartularyError `overloaded` where the server is away or does not answer as it should, `not-found`, `setting` where it refuses; `detail` has its status and code
   */
  call<Result>(
    what: string,
    act: (client: S3Client, options: SendOptions) => Promise<Result>,
    bytes?: number,
  ): Promise<Result>;
  /** How long to wait before a further attempt. @param failures how many there were, from 1 */
  waitFor(failures: number): Promise<void>;
};

/** Opens a bucket; nothing is sent yet. */
export function openConnection(location: S3Location, limits: S3Limits): S3Connection {
  const client = new S3Client({
    region: location.region,
    credentials: location.credentials,
    // Always said, since the client would look for one in its own environment.
    endpoint: location.endpoint ?? `https://s3.${location.region}.amazonaws.com`,
    forcePathStyle: location.endpoint !== undefined,
    maxAttempts: 1,
    // Every checksum is ours: what the client adds of its own some servers store as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    requestHandler: { connectionTimeout: Math.min(limits.attemptMsMax, 10_000), socketTimeout: 0 },
  });
  const waitFor = async (failures: number): Promise<void> => {
    const most = Math.min(limits.pauseMsMin * 2 ** (failures - 1), limits.pauseMsMax);
    await pause(Math.random() * most);
  };
  return {
    bucket: location.bucket,
    limits,
    waitFor,
    async call(what, act, bytes = 0) {
      const begun = performance.now();
      const msMax = limits.attemptMsMax + (bytes * 1000) / limits.sendBytesPerSecondMin;
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await inTime(msMax, (options) => act(client, options));
        } catch (cause) {
          if (cause instanceof CartularyError) throw cause;
          const fault = readFault(cause);
          const isOver = attempt >= limits.attemptsMax || performance.now() - begun > limits.totalMsMax;
          if (!fault.isPassing || isOver) throw asError(what, fault);
        }
        await waitFor(attempt);
      }
    },
  };
}

async function inTime<Result>(msMax: number, act: (options: SendOptions) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error('timeout'));
    controller.abort();
  }, msMax);
  try {
    return await Promise.race([act({ abortSignal: controller.signal }), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

type Fault = {
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  readonly code: string;
  /** May it go well the next time? */
  readonly isPassing: boolean;
};

/** Codes below 500 that tell of bytes that were altered or lost on the way, or of a clock that the client has put right by the answer. */
const PASSING = new Set([
  'BadDigest',
  'IncompleteBody',
  'InvalidDigest',
  'OperationAborted',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'SlowDown',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
]);

/** Reads what the client threw. The server controls the code, so it is kept only where it is a word. */
function readFault(cause: unknown): Fault {
  const { name, $metadata } = (typeof cause === 'object' && cause !== null ? cause : {}) as {
    readonly name?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode;
  const code = typeof name === 'string' && /^[A-Za-z0-9]{1,64}$/.test(name) ? name : 'unknown';
  // An answer that says "well" and cannot be read is none.
  if (status === undefined || status < 300) return { status: undefined, code, isPassing: true };
  const isPassing = (status >= 500 && status !== 501) || status === 429 || status === 408 || PASSING.has(code);
  return { status, code, isPassing };
}

function asError(what: string, { status, code, isPassing }: Fault): CartularyError {
  const detail = { ...(status === undefined ? {} : { status }), code };
  if (status === undefined)
    return new CartularyError('overloaded', `the S3 server cannot be reached to ${what}`, { detail });
  if (code === 'RequestTimeTooSkewed')
    return new CartularyError('setting', 'the clocks of this machine and of the S3 server differ', { detail });
  if (isPassing)
    return new CartularyError('overloaded', `the S3 server answers ${status} ${code} when asked to ${what}`, {
      detail,
    });
  if (code === 'NoSuchBucket') return new CartularyError('setting', 'the bucket does not exist', { detail });
  if (status === 404 || status === 405)
    return new CartularyError('not-found', `there is nothing in the bucket to ${what}`, { detail });
  return new CartularyError('setting', `the S3 server refuses to ${what}: ${status} ${code}`, { detail });
}
