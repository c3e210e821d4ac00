/** What the pages tell people to type is typed here, as it stands; lists that pages give are held against the code. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CONDITIONS } from '../src/alerts/conditions.ts';
import { buildProgram } from '../src/cli/program.ts';
import { ERRORS } from '../src/model/errors.ts';
import { readSettings } from '../src/settings.ts';
import { makePlace, runJson, serve } from './support/cli.ts';
import type { Served } from './support/cli.ts';

const ROOT = dirname(import.meta.dirname);
const place = await makePlace('docs');
let server: Served;
let made: { archiveId: string; apiKey: string };

beforeAll(async () => {
  made = await runJson(['init', '--data', place.data, '--name', 'Docs', '--kit', join(place.path, 'kit.txt')]);
  server = await serve(place.data);
  // What an installation puts on the path, and a folder in which the official SDK is installed.
  const bin = join(place.path, 'bin');
  await mkdir(bin);
  const launch = `exec "${process.execPath}" "${join(ROOT, 'bin', 'cartulary.mjs')}" "$@"\n`;
  await writeFile(join(bin, 'cartulary'), `#!/bin/sh\n${launch}`);
  await writeFile(join(bin, 'npx'), `#!/bin/sh\ntest "$1" = cartulary && shift && ${launch}`);
  for (const name of ['cartulary', 'npx']) await chmod(join(bin, name), 0o755);
  await symlink(join(ROOT, 'node_modules'), join(place.path, 'node_modules'));
}, 120_000);
afterAll(async () => {
  await server.stop();
  await place.remove();
});

/** Blocks of a page that are meant to be run, as one script; those that other tests run (npm) are left out. */
async function scriptOf(page: string): Promise<string> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const blocks = [...text.matchAll(/^```(sh|js)\n([\s\S]*?)^```/gm)].map(([, language, body]) => ({
    language,
    body: body ?? '',
  }));
  return blocks
    .filter(({ body }) => !/^npm /m.test(body))
    .map(({ language, body }) => (language === 'js' ? `cat > send.mjs <<'END'\n${body}END\nnode send.mjs\n` : body))
    .join('\n');
}

async function runScript(script: string, data: string, cwd = place.path): Promise<{ code: number; output: string }> {
  const here = script
    .replaceAll('http://127.0.0.1:8787', server.url)
    .replaceAll('/mnt/backups', join(place.path, 'backups'));
  const child = spawn('bash', ['-e', '-u', '-o', 'pipefail', '-c', here], {
    cwd,
    env: {
      ...process.env,
      PATH: `${join(place.path, 'bin')}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
      CARTULARY_DATA: data,
      CARTULARY_PUBLIC_URL: server.url,
      KEY: made.apiKey,
      ARCHIVE: made.archiveId,
      ACCOUNT_SID: `AC${'0'.repeat(32)}`,
      AUTH_TOKEN: '0123456789abcdef0123456789abcdef',
      NEW_AUTH_TOKEN: 'fedcba9876543210fedcba9876543210',
      // Hosts that no resolver finds.
      SMTP_HOST: 'smtp.invalid',
      SMTP_PASSWORD: 'password',
      SLACK_WEBHOOK: 'https://slack.invalid/services/T0/B0/x',
      TEAMS_WORKFLOW: 'https://teams.invalid/workflows/x?sig=y',
      PAGERDUTY_KEY: '0123456789abcdef0123456789abcdef',
      STATUS_PAGE: 'https://status.invalid/in',
      HEARTBEAT_URL: 'https://heartbeat.invalid/ping/x',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number>((resolve) => child.on('close', (value) => resolve(value ?? -1)));
  return { code, output };
}

describe('what a page says works as it stands', () => {
  it.each([
    ['README.md', [/"stored":1/, /Where is my order #1001\?/, /Sound: /, /"totalRelation":"eq"/, /^200$/m]],
    ['docs/api.md', [/"stored":1/, /c2sp\.org\/tlog-proof@v1/, /"histogram"/, /GIF89a|"leafIndex"/]],
    ['docs/connect/standard-webhooks.md', []],
    ['docs/connect/twilio.md', [/\/hooks\/src_/, /#rc=3&rp=all/]],
    ['docs/operate/alerts.md', [/^rte_/m, /Signed with whsec_/, /failed .*rte_/, /heartbeat {2}are we alive/]],
    ['docs/backup-and-restore.md', [/records are back in/, /Sound: /]],
  ])('%s', { timeout: 240_000 }, async (page, expected) => {
    const { code, output } = await runScript(await scriptOf(page), place.data);
    expect([code, code === 0 ? '' : output]).toEqual([0, '']);
    for (const pattern of expected) expect(output).toMatch(pattern);
  });

  it('docs/commands.md', { timeout: 600_000 }, async () => {
    // An archive of its own, that no server holds.
    const cwd = join(place.path, 'commands');
    await mkdir(cwd);
    const { code, output } = await runScript(await scriptOf('docs/commands.md'), join(cwd, 'data'), cwd);
    expect([code, code === 0 ? '' : output]).toEqual([0, '']);
    expect(output).toMatch(/Sound: 1 messages, 1 records, 0 media/);
  });
});

describe('what a page lists is all there is', () => {
  it('every command and option stands in docs/commands.md', async () => {
    const page = await readFile(join(ROOT, 'docs/commands.md'), 'utf8');
    const namesOf = (command: Command): string[] => [
      command.name(),
      ...command.options.map(({ long }) => long ?? ''),
      ...command.commands.flatMap(namesOf),
    ];
    const names = (await buildProgram(() => true)).commands.flatMap(namesOf);
    expect(names.length).toBeGreaterThan(60);
    expect([...new Set(names)].filter((name) => !new RegExp(`${name}(?![\\w-])`).test(page))).toEqual([]);
  });

  it('every command that pages for operators tell people to type is one, with options that it has', async () => {
    const pages = (await readdir(join(ROOT, 'docs/operate'))).map((name) => join('docs/operate', name));
    const program = await buildProgram(() => true);
    const wrong: string[] = [];
    let count = 0;
    for (const page of pages) {
      const script = (await scriptOf(page)).replaceAll('\\\n', ' ');
      for (const [line, words] of script.matchAll(
        /(?:^|(?<!-u)[\s/])cartulary ((?:[a-z][\w-]*)(?:\s[^\n|;&>]*)?)$/gm,
      )) {
        count += 1;
        let command: Command = program;
        for (const word of words?.split(/\s+/) ?? [])
          command = command.commands.find((known) => known.name() === word) ?? command;
        const known = command.options.map(({ long }) => long ?? '');
        const asked = [...(words ?? '').matchAll(/(?<!\S)--[a-z][\w-]*/g)].map(([option]) => option);
        if (command === program || asked.some((option) => !known.includes(option) && option !== '--help'))
          wrong.push(`${page}: ${line}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(15);
  });

  it('every file of packaging/ that a page names is there', async () => {
    const missing: string[] = [];
    for (const name of await readdir(join(ROOT, 'docs/operate'))) {
      const text = await readFile(join(ROOT, 'docs/operate', name), 'utf8');
      for (const [, path] of text.matchAll(/`packaging\/([\w./-]+)`/g))
        if (!(await stat(join(ROOT, 'packaging', path ?? '')).catch(() => undefined))) missing.push(`${name}: ${path}`);
    }
    expect(missing).toEqual([]);
  });

  it('every setting stands in docs/settings.md', async () => {
    const page = await readFile(join(ROOT, 'docs/settings.md'), 'utf8');
    let refusal = '';
    try {
      readSettings({ CARTULARY_NO_SETTING: 'x' });
    } catch (cause) {
      refusal = cause instanceof Error ? cause.message : '';
    }
    const names = refusal.match(/CARTULARY_[A-Z_]+/g)?.filter((name) => name !== 'CARTULARY_NO_SETTING') ?? [];
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it('every path of the description stands in docs/api.md', async () => {
    const page = (await readFile(join(ROOT, 'docs/api.md'), 'utf8'))
      .replaceAll('`…/{id}', '`/api/v1/messages/{id}')
      .replaceAll('`…/', '`/log/{archiveId}/');
    const { paths } = (await (await fetch(`${server.url}/api/v1/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths).filter((path) => !page.includes(`${path}\``))).toEqual([]);
  });

  it('every condition stands in docs/operate/alerts.md, with its severity', async () => {
    const page = await readFile(join(ROOT, 'docs/operate/alerts.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([\w-]+)` \| (\w+) \|/gm)].map(([, code, severity]) => `${code} ${severity}`);
    expect(rows).toEqual(Object.entries(CONDITIONS).map(([code, { severity }]) => `${code} ${severity}`));
  });

  it('every error stands in docs/errors.md, which `npm test -- test/docs.test.ts -u` writes', async () => {
    const rows = Object.entries(ERRORS).map(
      ([code, { status, title, hint }]) => `| \`${code}\` | ${status} | ${title} | ${hint} |`,
    );
    const page = `# Errors

One catalogue for HTTP, command line and log: \`src/model/errors.ts\`, which this page is made of. Over HTTP an error is a problem detail (RFC 9457) whose \`type\` is \`/problems/\` and the code; \`GET\` of that address gives the entry. \`detail\` says what it was this time and \`hint\` what to do; further fields name a place (\`field\`, \`column\`). Branch on the code: it is stable and never used for anything else. An answer of 5xx carries a \`requestId\` in place of the cause, which is in the log.

| code | status | what | what to do |
|---|---|---|---|
${rows.join('\n')}
`;
    await expect(page).toMatchFileSnapshot('../docs/errors.md');
  });

  it('links between the pages lead somewhere', async () => {
    const pages = [
      'README.md',
      ...(await readdir(join(ROOT, 'docs'), { recursive: true }))
        .filter((name) => name.endsWith('.md'))
        .map((name) => join('docs', name)),
    ];
    const broken: string[] = [];
    for (const page of pages) {
      const text = await readFile(join(ROOT, page), 'utf8');
      for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
        const found = await readFile(join(ROOT, dirname(page), target ?? '')).catch(
          (cause: NodeJS.ErrnoException) => cause.code === 'EISDIR',
        );
        if (found === false) broken.push(`${page}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });
});
