import type { Command } from 'commander';

import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson, say } from '../output.ts';

type Listed = {
  id: string;
  name: string;
  url: string;
  state: 'answers' | 'away' | 'unknown';
  heardAt: string | null;
  failure: string | null;
  spool: { envelopes: number; bytes: number; bytesMax: number; oldestAt: string | null; damaged: number } | null;
};

/** `relay`: machines in front of the archive's network that take in what platforms send. */
export function defineRelay(relay: Command): void {
  withCommonOptions(
    relay.command('add <name>').description('prints the edge key of a new relay, which is shown this once'),
  )
    .requiredOption('--url <url>', 'address under which this archive reaches it, https://HOST:PORT')
    .action(async (name: string, options: CommonOptions & { url: string }) => {
      const added = await runOperation<{ id: string; edgeKey: string }>(options, 'relay.add', {
        name,
        url: options.url,
      });
      if (options.json === true) return printJson(added);
      print(added.edgeKey);
      say(
        `${added.id}: put this line into a file of mode 600 on the relay, name it in CARTULARY_EDGE_KEY_FILE, and start it with CARTULARY_ROLES=relay.`,
      );
    });
  withCommonOptions(relay.command('list').description('relays, how they are, and what waits on them')).action(
    async (options: CommonOptions) => {
      const listed = await runOperation<{ relays: Listed[] }>(options, 'relay.list', {});
      if (options.json === true) return printJson(listed);
      for (const one of listed.relays) print(describe(one));
      if (listed.relays.length === 0) say('There is none: "cartulary relay add NAME --url https://HOST:PORT".');
    },
  );
  withCommonOptions(relay.command('remove <id>').description('nothing is fetched from a relay any more'))
    .option('--yes', 'although something waits on it, or may')
    .action(async (id: string, options: CommonOptions & { yes?: boolean }) => {
      const removed = await runOperation(options, 'relay.remove', { id, yes: options.yes === true });
      if (options.json === true) printJson(removed);
      else say('Removed. Stop it, and destroy its disk: its edge key is there, and secrets of sources.');
    });
}

function describe({ id, name, url, state, heardAt, failure, spool }: Listed): string {
  const how = paint(state === 'answers' ? 'green' : state === 'away' ? 'red' : 'dim', state);
  const waits =
    spool === null || spool.oldestAt === null
      ? 'nothing waits'
      : `${spool.envelopes} envelope(s) wait, ${spool.bytes} of at most ${spool.bytesMax} bytes, the oldest since ${spool.oldestAt}`;
  const damaged = spool === null || spool.damaged === 0 ? [] : [`${spool.damaged} damaged file(s)`];
  const more = [...(failure === null ? [] : [failure]), ...(heardAt === null ? [] : [`heard of ${heardAt}`])];
  return `${id}  ${name}  ${url}  ${how}; ${[waits, ...damaged, ...more].join('; ')}`;
}
