/**
 * Where `doctor` asks from outside: is the server behind the public address this one, and do signed requests arrive as they were sent? Nothing that comes here is kept, rung or counted.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Source } from '../../archive/registry.ts';
import { getConnector } from '../../capture/source-view.ts';
import { verifySignature } from '../../capture/signatures.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Envelope } from '../../model/envelope.ts';
import { equalConstantTime, sha256 } from '../../vault/hash.ts';
import type { Edge } from '../edge.ts';
import type { Face } from '../service.ts';

/** Where the addresses begin: below the hooks, since proxies let nothing else through. */
export const CHALLENGE_PATH = '/hooks/challenge/';
const NONCE = /^[0-9a-f]{32}$/;
const TOKEN = /^[0-9a-f]{64}$/;

/** What a test of a source's signature is answered. */
export type DoorAnswer = { readonly result: string; readonly bodySha256: string };

/** `GET /hooks/challenge/{nonce}`: answers as only this archive can. */
export function registerChallenge(app: FastifyInstance, service: Face): void {
  app.get(`${CHALLENGE_PATH}:nonce`, async (request, reply) => {
    const { nonce } = request.params as { nonce: string };
    if (!NONCE.test(nonce)) throw new CartularyError('not-found', 'there is nothing at this address');
    return reply
      .header('cache-control', 'no-store')
      .send({ answer: service.edge().answerChallenge(`way-in ${nonce}`) });
  });
}

/** The token that lets a test of a source in. */
export function doorToken({ answerChallenge }: Pick<Edge, 'answerChallenge'>, source: Source, nonce: string): string {
  return nonce + answerChallenge(`door ${source.id} ${nonce}`);
}

/**
 * `POST /hooks/challenge/{source}/{token}`: says whether the signature would have been accepted.
 * @throws CartularyError `not-found` for whoever is not this archive's own doctor
 */
export async function answerAtDoor(
  edge: Edge,
  {
    source,
    envelope,
    request,
    reply,
  }: {
    readonly source: Source;
    readonly envelope: Envelope;
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
  },
): Promise<FastifyReply> {
  const { token } = request.params as { token: string };
  const expected = doorToken(edge, source, token.slice(0, 32));
  if (!TOKEN.test(token) || !equalConstantTime(Buffer.from(token, 'hex'), Buffer.from(expected, 'hex')))
    throw new CartularyError('not-found', 'there is nothing at this address');
  const found = verifySignature(getConnector(source).signature, envelope, source.secrets, edge.now());
  const answer: DoorAnswer = {
    result: found.ok ? found.verdict.result : found.reason,
    bodySha256: Buffer.from(sha256(envelope.body)).toString('hex'),
  };
  return reply.header('cache-control', 'no-store').send(answer);
}
