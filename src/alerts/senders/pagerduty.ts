/** PagerDuty's Events API v2: an alert is triggered, acknowledged and resolved under one `dedup_key`, so that nobody is paged twice for it. */
import type { Notice, NoticeText } from '../notice.ts';
import { isoTime } from '../notice.ts';
import { targetUrl } from '../routes.ts';
import type { RouteOf } from '../routes.ts';
import type { Answer } from './answer.ts';
import { postJson } from './send-http.ts';
import type { Sending } from './sending.ts';

/** Characters of a summary at most. */
const SUMMARY_CHARS_MAX = 1024;

export async function sendPagerDuty(route: RouteOf<'pagerduty'>, text: NoticeText, sending: Sending): Promise<Answer> {
  const { notice } = sending;
  const answer = await post(route, formatPagerDuty(route.secret, text, sending), sending);
  if (notice.kind !== 'test' || !answer.ok) return answer;
  // A test pages, and takes it back.
  const resolved = await post(
    route,
    formatPagerDuty(route.secret, text, { ...sending, notice: { ...notice, kind: 'resolved' } }),
    sending,
  );
  return resolved.ok ? { ok: true, text: `triggered: ${answer.text}; resolved: ${resolved.text}` } : resolved;
}

function post(route: RouteOf<'pagerduty'>, body: Record<string, unknown>, sending: Sending): Promise<Answer> {
  return postJson(route, body, sending, { url: targetUrl(route) });
}

const ACTIONS = {
  opened: 'trigger',
  repeated: 'trigger',
  escalated: 'trigger',
  test: 'trigger',
  acknowledged: 'acknowledge',
  resolved: 'resolve',
} as const satisfies Record<Notice['kind'], string>;

/** The event. */
export function formatPagerDuty(
  routingKey: string,
  { severity, title, lines }: NoticeText,
  { notice, speaker }: Pick<Sending, 'notice' | 'speaker'>,
): Record<string, unknown> {
  const action = ACTIONS[notice.kind];
  return {
    routing_key: routingKey,
    event_action: action,
    dedup_key: `cartulary/${speaker.archiveId}/${notice.alertId}`,
    ...(action === 'trigger'
      ? {
          payload: {
            summary: title.slice(0, SUMMARY_CHARS_MAX),
            source: `cartulary/${speaker.archiveId}`,
            severity,
            timestamp: isoTime(notice.openedAtMs),
            component: 'cartulary',
            class: notice.code,
            custom_details: { text: lines.join('\n'), ...notice.facts },
          },
          client: 'Cartulary',
        }
      : {}),
  };
}
