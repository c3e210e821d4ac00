/**
 * Bodies while they arrive. Nobody is known yet: whoever can reach the port can send, so what all of them may fill together is bounded. Small bodies, as texts are, always
 * find room; large ones share what there is, and where it is full their senders are asked to come again.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';

import { CartularyError } from '../model/errors.ts';

/** Bytes of each body that count for nothing: a text with its report fits, and the number of connections bounds the sum. */
const FREE_BYTES = 16 * 1024;
/** Bytes that all larger bodies under way may have together. */
const ROOM_BYTES = 64 * 1024 * 1024;

export type BodyRoom = {
  /** Makes all routes of a scope read their bodies as bytes, whatever content type is named. */
  readonly register: (scope: FastifyInstance) => void;
};

/** Room for the bodies of one application. @param bytesMax of all large bodies together */
export function createBodyRoom(bytesMax = ROOM_BYTES): BodyRoom {
  let held = 0;
  const taken = new WeakMap<FastifyRequest, number>();
  const take = (request: FastifyRequest, bytes: number): boolean => {
    const wanted = Math.max(0, bytes - FREE_BYTES) - (taken.get(request) ?? 0);
    if (wanted <= 0) return true;
    if (held + wanted > bytesMax) return false;
    held += wanted;
    taken.set(request, (taken.get(request) ?? 0) + wanted);
    return true;
  };
  const release = (request: FastifyRequest): void => {
    held -= taken.get(request) ?? 0;
    taken.delete(request);
  };
  return {
    register(scope) {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
        readBody(payload, announcedBytes(request), request.routeOptions.bodyLimit, (bytes) => take(request, bytes)),
      );
      scope.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
        const announced = announcedBytes(request);
        if (announced === undefined || announced > FREE_BYTES) reply.raw.once('close', () => release(request));
      });
    },
  };
}

function announcedBytes(request: FastifyRequest): number | undefined {
  const text = request.headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

/** Reads a body to its end; what is refused is thrown away as it comes, so that its sender gets to read why. */
function readBody(
  payload: IncomingMessage,
  announced: number | undefined,
  bytesMax: number,
  take: (bytes: number) => boolean,
): Promise<Buffer> {
  const tooLarge = (): CartularyError =>
    new CartularyError('too-large', `a body may have ${bytesMax} bytes here`, { detail: { limit: bytesMax } });
  if (announced !== undefined && announced > bytesMax) {
    payload.resume();
    return Promise.reject(tooLarge());
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bytesMax) return end(tooLarge());
      if (!take(bytes)) return end(new CartularyError('overloaded', 'too many large bodies are under way'));
      chunks.push(chunk);
    };
    const onEnd = (): void => end(undefined);
    const onCut = (): void => end(new CartularyError('bad-input', 'the body ended before its end'));
    function end(cause: CartularyError | undefined): void {
      payload.off('data', onData).off('end', onEnd).off('close', onCut);
      if (cause === undefined)
        return resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
      chunks.length = 0;
      payload.resume();
      reject(cause);
    }
    payload.on('data', onData).on('end', onEnd).on('close', onCut).on('error', onCut);
  });
}
