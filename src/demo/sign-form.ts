import { createHmac } from 'node:crypto';

/**
 * Signs a form as Twilio does: HMAC-SHA1 over the address and every field in the order of their names (https://www.twilio.com/docs/usage/security).
 * @param token the account's auth token
 * @param url the address that is called
 */
export function signForm(token: string, url: string, fields: Readonly<Record<string, string>>): string {
  const text = Object.keys(fields)
    .sort()
    .map((name) => `${name}${fields[name] ?? ''}`);
  return createHmac('sha1', token)
    .update([url, ...text].join(''), 'utf8')
    .digest('base64');
}
