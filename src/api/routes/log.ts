/**
 * The public log: checkpoint and tiles under the paths of C2SP tlog-tiles. Anybody may read them, since they hold no content and no low-entropy hash; entries (kinds
 * and times) need a right.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { authenticateApiKey } from '../../access/api-keys.ts';
import { assertAllowed } from '../../archive/caller.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Face, Service } from '../service.ts';

/** Registers the log of the archive. */
export function registerLog(app: FastifyInstance, face: Face): void {
  app.get('/log/:archiveId/*', async (request, reply) => {
    const service = face.open();
    const { archiveId, '*': path } = request.params as { archiveId: string; '*': string };
    if (archiveId !== service.archive.id) throw new CartularyError('not-found', 'there is no such log');
    if (path === 'vkey') return sendText(reply, `${service.archive.vkey}\n`);
    if (path === 'checkpoint') return sendText(reply, await service.archive.publish());
    if (path.startsWith('tile/entries/')) assertMayReadEntries(service, request);
    const bytes = await service.archive.findLogFile(path);
    if (bytes === undefined) throw new CartularyError('not-found', 'the log has no such file');
    return reply
      .header('content-type', 'application/octet-stream')
      .header('cache-control', 'public, max-age=31536000, immutable')
      .send(Buffer.from(bytes));
  });
}

function sendText(reply: FastifyReply, text: string): FastifyReply {
  return reply.header('content-type', 'text/plain; charset=utf-8').header('cache-control', 'no-cache').send(text);
}

function assertMayReadEntries(service: Service, request: FastifyRequest): void {
  const header = request.headers.authorization ?? '';
  const key = authenticateApiKey(header.replace(/^Bearer /, ''), (id) => service.archive.findKey(id));
  assertAllowed({ kind: 'key', key }, 'log:read');
}
