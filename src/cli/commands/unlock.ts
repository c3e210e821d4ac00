import type { Command } from 'commander';

import { callLocalSocket } from '../../api/local-socket.ts';
import { dataLayout } from '../../archive/layout.ts';
import { CartularyError } from '../../model/errors.ts';
import { settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { readSecret } from '../given.ts';
import { printJson, say } from '../output.ts';

/** `unlock`: opens an archive that started locked. */
export function defineUnlock(command: Command): void {
  withCommonOptions(command)
    .option('--passphrase <passphrase>', 'of the root key; "-" reads it from standard input')
    .action(async (options: CommonOptions & { passphrase?: string }) => {
      const { data } = settingsOf(options, true);
      const passphrase = await readSecret(options.passphrase);
      // Only the process that takes in what comes can open it: nothing is opened here.
      const answer = await callLocalSocket(dataLayout(data).socket, 'unlock', { passphrase }, () => undefined);
      if (answer === undefined)
        throw new CartularyError('not-found', `no process holds ${data}; run "cartulary start" first`);
      if (options.json === true) return printJson(answer.result);
      const { opened } = answer.result as { opened: boolean };
      say(opened ? 'The archive is open; what waited is being filed.' : 'The archive is open already.');
    });
}
