/**
 * The local socket: a command that finds the data directory held talks to its holder here. The file lies in a directory that only its owner may enter, so the
 * operating system decides who may.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

import { z } from 'zod';

import { asSystemError, CartularyError, ERRORS, isErrorCode } from '../model/errors.ts';
import { localContext } from './operation.ts';
import type { Operation, OperationContext } from './operation.ts';
import type { Face } from './service.ts';

/** Lines of an answer: progress as it goes, then one result or error. */
const lineSchema = z.union([
  z.strictObject({
    progress: z.strictObject({ done: z.number(), total: z.number(), what: z.string().exactOptional() }),
  }),
  z.strictObject({ result: z.unknown() }).refine((line) => 'result' in line),
  z.strictObject({
    error: z.strictObject({
      code: z.string(),
      message: z.string(),
      detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    }),
  }),
]);
type Line = z.output<typeof lineSchema>;

const ARGUMENT_BYTES_MAX = 4 * 1024 * 1024;

/** Serves operations on the socket. Whoever holds the data directory's lock may take over a socket that a dead process left. */
export async function serveLocalSocket(
  path: string,
  face: Face,
  operations: readonly Operation[],
): Promise<{ close(): Promise<void> }> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  chmodSync(dirname(path), 0o700);
  rmSync(path, { force: true });
  const byName = new Map(operations.map((operation) => [operation.name, operation]));
  const server = createServer((request, response) => {
    void answer(face, byName, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  face: Face,
  operations: ReadonlyMap<string, Operation>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const abort = new AbortController();
  response.on('close', () => abort.abort());
  const write = (line: Line): void => {
    if (!response.writableEnded) response.write(`${JSON.stringify(line)}\n`);
  };
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  try {
    const operation = operations.get((request.url ?? '').slice(1));
    if (operation === undefined) throw new CartularyError('not-found', 'there is no such operation');
    const args = parseArguments(await readBody(request));
    const runClosed = face.whyClosed() === undefined ? undefined : operation.runClosed;
    write({
      result:
        runClosed === undefined
          ? await operation.run(
              args,
              localContext(face.open(), abort.signal, (progress) => write({ progress })),
            )
          : await runClosed(args, face),
    });
  } catch (cause) {
    write({ error: describeError(cause) });
  }
  response.end();
}

function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CartularyError('bad-input', 'the arguments are not JSON', { cause });
  }
}

function describeError(thrown: unknown): Extract<Line, { error: unknown }>['error'] {
  const cause = asSystemError(thrown) ?? thrown;
  if (cause instanceof CartularyError) return { code: cause.code, message: cause.message, detail: { ...cause.detail } };
  return { code: 'internal', message: ERRORS.internal.title, detail: {} };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > ARGUMENT_BYTES_MAX) throw new CartularyError('too-large', 'the arguments are too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Runs an operation in the process that holds the data directory.
 * @returns undefined where nobody answers on the socket
 * @throws CartularyError as the operation threw it; `stopping` where that process ended before it had answered
 */
export async function callLocalSocket(
  path: string,
  name: string,
  args: unknown,
  onProgress: OperationContext['progress'],
): Promise<{ readonly result: unknown } | undefined> {
  const response = await new Promise<IncomingMessage | undefined>((resolve) => {
    const request = httpRequest({ socketPath: path, path: `/${name}`, method: 'POST', agent: false }, resolve);
    request.on('error', () => resolve(undefined));
    request.end(JSON.stringify(args));
  });
  return response === undefined ? undefined : readAnswer(linesOf(response), onProgress);
}

/** The lines that came until the other side ended, in whatever way. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void> {
  try {
    yield* createInterface({ input: response });
  } catch {
    // Killed, or its connection cut: what is missing tells it.
  }
}

/**
 * Reads the lines of an answer.
 * @throws CartularyError as the operation threw it; `stopping` where the lines end, or one is cut off, before there is a result
 */
export async function readAnswer(
  lines: AsyncIterable<string>,
  onProgress: OperationContext['progress'],
): Promise<{ readonly result: unknown }> {
  for await (const text of lines) {
    const line = readLine(text);
    if (line === undefined) break;
    if ('result' in line) return { result: line.result };
    if ('error' in line) {
      const { code, message, detail } = line.error;
      throw new CartularyError(isErrorCode(code) ? code : 'internal', message, { detail });
    }
    onProgress(line.progress);
  }
  throw new CartularyError('stopping', 'the process that holds the data directory ended before it answered');
}

function readLine(text: string): Line | undefined {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
