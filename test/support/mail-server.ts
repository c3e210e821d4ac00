/** A mail server of its own: with a certificate made for it, STARTTLS, a password, and answers that can be changed. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { SMTPServer } from 'smtp-server';

export type Mail = {
  readonly from: string;
  readonly to: string[];
  readonly isEncrypted: boolean;
  readonly text: string;
};

export type MailServer = {
  readonly port: number;
  /** Path of the certificate that must be trusted. */
  readonly ca: string;
  readonly mails: Mail[];
  /** Refusals of the next mails, as codes. */
  readonly refuse: number[];
  close(): Promise<void>;
};

/** Starts it. @param name of its certificate's files @param isPlain it knows no STARTTLS */
export async function startMailServer(directory: string, name: string, isPlain = false): Promise<MailServer> {
  const [key, ca] = [join(directory, `${name}-key.pem`), join(directory, `${name}-cert.pem`)];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', ca, '-days', '2', ...subject],
    { stdio: 'ignore' },
  );
  const mails: Mail[] = [];
  const refuse: number[] = [];
  const server = new SMTPServer({
    key: readFileSync(key),
    cert: readFileSync(ca),
    authOptional: true,
    ...(isPlain ? { disabledCommands: ['STARTTLS'] } : {}),
    onAuth: ({ username, password }, _session, done) =>
      username === 'night' && password === 'smtpSecretPassword'
        ? done(null, { user: username })
        : done(new Error('Invalid username or password')),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const code = refuse.shift();
        if (code !== undefined) return done(Object.assign(new Error('not now'), { responseCode: code }));
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          isEncrypted: session.secure,
          text: Buffer.concat(chunks).toString('utf8'),
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    ca,
    mails,
    refuse,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
