/** Mail by SMTP. Encrypted with a certificate that is checked, unless the server is on this machine; a server that offers no STARTTLS is not spoken to any further. */
import { once } from 'node:events';

import type { NoticeText } from '../notice.ts';
import { mailTls } from '../routes.ts';
import type { RouteOf } from '../routes.ts';
import { showAnswer } from './answer.ts';
import type { Answer } from './answer.ts';
import type { Sending } from './sending.ts';

const CONNECT_MS_MAX = 15_000;
const SILENCE_MS_MAX = 30_000;

export async function sendMail(
  route: RouteOf<'mail'>,
  { title, lines }: NoticeText,
  sending: Sending,
): Promise<Answer> {
  const { host, port, from, to, user } = route.settings;
  const { notice, speaker, deliveryId, signal } = sending;
  const tls = mailTls(route.settings);
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    tls: { minVersion: 'TLSv1.2' },
    ...(user === undefined ? {} : { auth: { user, pass: route.secret } }),
    connectionTimeout: CONNECT_MS_MAX,
    greetingTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    dnsTimeout: CONNECT_MS_MAX,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const thread = `<${notice.alertId}@${speaker.archiveId}.cartulary.invalid>`;
    const sent = transport.sendMail({
      from: { name: 'Cartulary', address: from },
      to,
      subject: title,
      text: `${lines.join('\n\n')}\n`,
      // The same mail twice has one id, and all about one alert lie in one thread (RFC 5322 §3.6.4).
      messageId: `<${deliveryId}@${speaker.archiveId}.cartulary.invalid>`,
      references: [thread],
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    // The library ends a connection only by its own time limits, and a stopping server does not wait for them.
    const info = await orAborted(sent, signal);
    const refused = info.rejected.length;
    const text = showAnswer(info.response, [route.secret]);
    if (refused === 0) return { ok: true, text };
    return { ok: false, permanent: true, text: `${refused} of ${to.length} recipients refused; ${text}` };
  } catch (cause) {
    if (signal.aborted) throw cause;
    return describeFailure(cause, route.secret);
  } finally {
    transport.close();
  }
}

async function orAborted<Value>(result: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const settled = new AbortController();
  const aborted = once(signal, 'abort', { signal: settled.signal }).then(() => Promise.reject(new Error('stopped')));
  try {
    return await Promise.race([result, aborted]);
  } finally {
    settled.abort();
    aborted.catch(() => undefined);
    result.catch(() => undefined);
  }
}

/** Refusals that begin with 5 are meant (RFC 5321 §4.2.1); with 4, and where nobody answers, it is tried again. */
function describeFailure(cause: unknown, secret: string): Answer {
  const { code, responseCode, response, message } = (cause ?? {}) as Readonly<Record<string, unknown>>;
  // A server without STARTTLS answers as if to a command that it does not know, which says nothing to anybody.
  const isAnswer = typeof response === 'string' && code !== 'ETLS';
  const said = isAnswer ? response : `not sent (${String(code)}: ${String(message)})`;
  const permanent = typeof responseCode === 'number' && responseCode >= 500;
  return { ok: false, permanent, text: showAnswer(said, [secret]) };
}
