/** Tells one notice over one route, whatever its kind. */
import { describeNotice } from '../notice.ts';
import type { AlertRoute, RouteOf } from '../routes.ts';
import type { Answer } from './answer.ts';
import { sendMail } from './mail.ts';
import { sendPagerDuty } from './pagerduty.ts';
import { postJson, sendHttp } from './send-http.ts';
import type { Sending } from './sending.ts';
import { formatSlack } from './slack.ts';
import { formatTeams, readTeamsAnswer } from './teams.ts';
import { sendWebhook } from './webhook.ts';

/** Tells a notice. Never throws for what the other side does; rejects where `signal` was aborted. */
export function sendNotice(route: AlertRoute, sending: Sending): Promise<Answer> {
  const text = describeNotice(sending.notice, sending.speaker);
  switch (route.kind) {
    case 'mail':
      return sendMail(route, text, sending);
    case 'slack':
      return postJson(route, formatSlack(text), sending);
    case 'teams':
      return postJson(route, formatTeams(text), sending, { readAccepted: readTeamsAnswer });
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
