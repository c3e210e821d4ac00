import type { Command } from 'commander';

import { serveLocalSocket } from '../../api/local-socket.ts';
import { OPERATIONS } from '../../api/operations/list.ts';
import { startServer } from '../../api/server.ts';
import { openService } from '../../api/service.ts';
import type { Service } from '../../api/service.ts';
import { initHouse } from '../../archive/house.ts';
import { isInitialised } from '../../archive/house-file.ts';
import type { Settings } from '../../settings.ts';
import { runDemo, startTwilioStandIn } from '../../demo/run.ts';
import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, say } from '../output.ts';

type Options = CommonOptions & { readonly demo?: boolean; readonly name?: string };

/** Milliseconds that a shutdown may take before the process ends anyway. */
const SHUTDOWN_MS_MAX = 30_000;

/** `start`: runs the whole product; makes the archive first where there is none. */
export function registerStart(program: Command): void {
  withCommonOptions(program.command('start').description('run the archive: hooks, API, log, jobs'))
    .option('--demo', 'fill it with a make-believe shop')
    .option('--name <shop>', 'name of the shop, where the archive is made at this start', 'My shop')
    .action(async (options: Options) => {
      const settings = settingsOf(options);
      if (!(await isInitialised(settings.data))) await makeArchive(settings, options.name ?? 'My shop');
      await serve(settings, options.demo === true);
    });
}

async function makeArchive(settings: Settings, name: string): Promise<void> {
  const made = await initHouse({
    directory: settings.data,
    name,
    ...(settings.rootKeyPath === undefined ? {} : { rootKeyPath: settings.rootKeyPath }),
    ...(settings.passphrase === undefined ? {} : { passphrase: settings.passphrase }),
  });
  print(made.recoveryKit);
  say(`A new archive was made in ${settings.data}. Print the recovery kit above and keep it away from this machine.`);
  say(`API key (shown this once): ${paint('bold', made.apiKey)}`);
}

/** Serves until it is told to stop. What was opened is closed whatever happens: a thread left behind would keep the process alive. */
export async function serve(settings: Settings, isDemo: boolean): Promise<void> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const standIn = isDemo ? await startTwilioStandIn() : undefined;
    if (standIn !== undefined) closers.unshift(() => standIn.close());
    const service = await openService(
      settings,
      standIn === undefined ? {} : { allowPrivate: [{ host: standIn.host, port: standIn.port }] },
    );
    closers.unshift(() => service.close());
    const server = await startServer(service);
    closers.unshift(() => server.close());
    const socket = await serveLocalSocket(service.house.layout.socket, service, OPERATIONS);
    closers.unshift(() => socket.close());
    service.startWork();
    announce(service, server);
    const stop = new AbortController();
    const demo =
      standIn === undefined
        ? Promise.resolve()
        : runDemo({ standIn, service, hooksUrl: server.hooksUrl, signal: stop.signal, say });
    closers.unshift(() => demo.catch(() => undefined));
    await Promise.race([untilSignal(), demo.then(untilSignal)]);
    say('Stopping: what was acknowledged is on disk; the log is signed once more.');
    stop.abort();
  } finally {
    const deadline = setTimeout(() => process.exit(1), SHUTDOWN_MS_MAX);
    for (const close of closers) await close();
    clearTimeout(deadline);
  }
}

function announce(service: Service, server: { readonly url: string; readonly hooksUrl: string }): void {
  const { root, archive } = { root: service.house.root, archive: service.archive };
  say(`${paint('bold', 'Cartulary')} keeps the messages of ${archive.name}.`);
  say(`  API and log   ${server.url}   (description: ${server.url}/api/v1/openapi.json)`);
  say(`  hooks         ${server.hooksUrl}/hooks/{source}`);
  say(`  log key       ${archive.vkey}`);
  say(`  root key      ${root.kind} at ${root.location}. ${root.whoCanRead}`);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
