/** A signed webhook after Standard Webhooks: the id stays with every try, so that the other side can tell a repetition; the time is that of the try. */
import { createHmac } from 'node:crypto';

import type { NoticeText } from '../notice.ts';
import { isoTime } from '../notice.ts';
import type { RouteOf } from '../routes.ts';
import type { Answer } from './answer.ts';
import { sendHttp } from './send-http.ts';
import type { Sending } from './sending.ts';

export function sendWebhook(route: RouteOf<'webhook'>, text: NoticeText, sending: Sending): Promise<Answer> {
  const { signal, nowMs, deliveryId } = sending;
  const body = JSON.stringify(formatWebhook(text, sending));
  const seconds = Math.floor(nowMs / 1000);
  return sendHttp({
    url: route.settings.url,
    method: 'POST',
    body,
    headers: {
      'webhook-id': deliveryId,
      'webhook-timestamp': String(seconds),
      'webhook-signature': signWebhook(route.secret, deliveryId, seconds, body),
    },
    isPrivate: route.isPrivate,
    secrets: [route.secret, route.settings.url],
    signal,
    nowMs,
  });
}

/** The signature. @param secret `whsec_` and base64 */
export function signWebhook(secret: string, id: string, seconds: number, body: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`;
}

/** The body. */
export function formatWebhook(
  { severity, title, lines }: NoticeText,
  { notice, speaker }: Pick<Sending, 'notice' | 'speaker'>,
): Record<string, unknown> {
  const { kind, code, facts, alertId, owner, openedAtMs, acknowledgedBy, atMs } = notice;
  return {
    type: `alert.${kind}`,
    timestamp: isoTime(atMs),
    data: {
      alert: alertId,
      archive: speaker.archiveId,
      archiveName: speaker.archiveName,
      code,
      severity,
      title,
      text: lines.join('\n'),
      facts,
      owner,
      openedAt: isoTime(openedAtMs),
      ...(acknowledgedBy === undefined ? {} : { acknowledgedBy }),
    },
  };
}
