/** Tells one notice over one route, whatever its kind. */
import { describeNotice } from '../notice.ts';
import type { AlertRoute, RouteOf } from '../routes.ts';
import type { Answer } from './answer.ts';
import { sendMail } from './mail.ts';
import { sendPagerDuty } from './pagerduty.ts';
import { sendHttp } from './send-http.ts';
import type { Sending } from './sending.ts';
import { sendSlack } from './slack.ts';
import { sendTeams } from './teams.ts';
import { sendWebhook } from './webhook.ts';

/** Tells a notice. Never throws for what the other side does; rejects where `signal` was aborted. */
export function sendNotice(route: AlertRoute, sending: Sending): Promise<Answer> {
  const text = describeNotice(sending.notice, sending.speaker);
  switch (route.kind) {
    case 'mail':
      return sendMail(route, text, sending);
    case 'slack':
      return sendSlack(route, text, sending);
    case 'teams':
      return sendTeams(route, text, sending);
    case 'pagerduty':
      return sendPagerDuty(route, text, sending);
    case 'webhook':
      return sendWebhook(route, text, sending);
    case 'heartbeat':
      return sendBeat(route, sending);
  }
}

/** One heartbeat. */
export function sendBeat(
  route: RouteOf<'heartbeat'>,
  { signal, nowMs }: Pick<Sending, 'signal' | 'nowMs'>,
): Promise<Answer> {
  const { method } = route.settings;
  return sendHttp({ url: route.secret, method, isPrivate: route.isPrivate, secrets: [route.secret], signal, nowMs });
}
