/** Genuine Twilio requests: signed by Twilio's own package. */
import twilio from 'twilio';

export const AUTH_TOKEN = '0123456789abcdef0123456789abcdef';

/** A signed inbound message. */
export function signedForm(
  hookUrl: string,
  fields: Record<string, string>,
  token = AUTH_TOKEN,
): RequestInit & { body: string } {
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      'x-twilio-signature': twilio.getExpectedTwilioSignature(token, hookUrl, fields),
    },
    body: new URLSearchParams(fields).toString(),
  };
}

/** The fields of an inbound text. */
export function inboundFields(sid: string, text: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    MessageSid: sid,
    SmsSid: sid,
    SmsMessageSid: sid,
    AccountSid: 'ACf3b9c0de4a7714be8d0a6cbb2f95e17c',
    From: '+15550100123',
    To: '+15550100100',
    Body: text,
    NumMedia: '0',
    NumSegments: '1',
    SmsStatus: 'received',
    ApiVersion: '2010-04-01',
    FromCountry: 'US',
    ToCountry: 'US',
    ...more,
  };
}

/** Runs `act` over items with bounded concurrency. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  act: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (;;) {
        const index = next++;
        const item = items[index];
        if (item === undefined) return;
        await act(item, index);
      }
    }),
  );
}
