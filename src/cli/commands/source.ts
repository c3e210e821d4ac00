import type { Command } from 'commander';

import { CONNECTORS } from '../../capture/connectors/list.ts';
import { parseCount, runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect, readSecret, splitSetting } from '../given.ts';
import { paint, print, printJson, say } from '../output.ts';
import type { Missing } from '../../api/readiness.ts';
import { warnOfMissing } from '../warnings.ts';

type Added = {
  id: string;
  hookUrl: string;
  steps: string[];
  captures: string[];
  doesNotGive: string[];
  missing: Missing[];
};
type Listed = {
  id: string;
  connector: string;
  name: string;
  hookUrl: string;
  badSignatures: { refused: number; waiting: number };
}[];
type AddOptions = CommonOptions & {
  readonly name: string;
  readonly secret?: string;
  readonly set: string[];
  readonly account?: string;
  readonly region?: string;
  readonly tee?: string;
  readonly maskOneTimeCodes?: boolean;
} & OwnerOptions;
type OwnerOptions = { readonly owner?: string; readonly expires?: string };

/** `source`: connects platforms. */
export function defineSource(source: Command): void {
  withCommonOptions(
    source
      .command('add <connector>')
      .description(`connect an account: ${CONNECTORS.map(({ name }) => name).join(', ')}`),
  )
    .requiredOption('--name <name>', 'what you call it')
    .option(
      '--secret <secret>',
      'what the platform signs with (Twilio: the auth token); "-" reads it from standard input',
    )
    .option('--set <name=value>', 'a setting of the connector; may be given several times', collect, [])
    .option('--account <id>', 'the account on the platform')
    .option('--region <code>', 'country of numbers written without country code, e.g. US')
    .option('--tee <url>', "the shop's own handler, to which everything is passed on (we stand in front)")
    .option('--mask-one-time-codes', 'mask one-time codes before they are kept')
    .option('--owner <name>', 'who owns the account and its token')
    .option('--expires <day>', 'day on which the token stops working, e.g. 2027-03-31')
    .action(async (connector: string, options: AddOptions) => {
      const added = await runOperation<Added>(options, 'source.add', {
        connector,
        name: options.name,
        secret: await readSecret(options.secret),
        settings: Object.fromEntries(options.set.map(splitSetting)),
        account: options.account,
        region: options.region,
        tee: options.tee,
        maskOneTimeCodes: options.maskOneTimeCodes ?? false,
        owner: options.owner,
        expires: options.expires,
      });
      if (options.json === true) return printJson(added);
      print(added.hookUrl);
      say(paint('bold', 'To do in the console of the platform:'));
      for (const [index, step] of added.steps.entries()) say(`  ${index + 1}. ${step}`);
      say(`Captured: ${added.captures.join('; ')}.`);
      say(`Not given by this platform: ${added.doesNotGive.join('; ')}.`);
      warnOfMissing(added.missing);
    });
  withCommonOptions(
    source.command('change <id>').description('say who owns the token of a source, until when it works'),
  )
    .option('--owner <name>', 'who owns the account and its token')
    .option('--expires <day>', 'day on which the token stops working, e.g. 2027-03-31')
    .action(async (id: string, options: CommonOptions & OwnerOptions) => {
      const { owner, expires } = options;
      const changed = await runOperation(options, 'source.change', { id, owner, expires });
      if (options.json === true) printJson(changed);
      else say('It is on record.');
    });
  withCommonOptions(source.command('list').description('what is connected')).action(async (options: CommonOptions) => {
    const sources = await runOperation<Listed>(options, 'source.list', {});
    if (options.json === true) return printJson(sources);
    for (const { id, connector, name, hookUrl, badSignatures } of sources) {
      print(
        `${id}  ${connector}  ${name}  ${hookUrl}${badSignatures.refused > 0 ? paint('red', `  ${badSignatures.refused} bad signatures`) : ''}`,
      );
    }
    if (sources.length === 0) say('Nothing is connected yet: "cartulary source add twilio --name … --secret …".');
  });
  withCommonOptions(
    source.command('secret <id>').description('give a source a new secret; what waits in the ring is taken in'),
  )
    .requiredOption('--secret <secret>', 'the new secret; "-" reads it from standard input')
    .option('--drop-old', 'the old secret stops fitting at once')
    .action(async (id: string, options: CommonOptions & { secret: string; dropOld?: boolean }) => {
      const secret = await readSecret(options.secret);
      const changed = await runOperation<{ ring: { released: number; kept: number } }>(options, 'source.secret', {
        id,
        secret,
        keepOld: options.dropOld !== true,
      });
      if (options.json === true) return printJson(changed);
      say(
        `The secret is changed. ${changed.ring.released} refused envelope(s) fitted it and were taken in; ${changed.ring.kept} still wait.`,
      );
    });
  withCommonOptions(source.command('remove <id>').description('disconnect a source; what it sent stays')).action(
    async (id: string, options: CommonOptions) => {
      const removed = await runOperation(options, 'source.remove', { id });
      if (options.json === true) printJson(removed);
      else say('The source is removed. Everything it sent is kept.');
    },
  );
  registerPoll(source);
}

function registerPoll(source: Command): void {
  withCommonOptions(
    source.command('poll <id>').description("ask the platform for its list now, for what the shop's tools sent"),
  )
    .option('--hours <n>', 'how far back', '72')
    .action(async (id: string, options: CommonOptions & { hours: string }) => {
      const polled = await runOperation<{ stored: number; duplicates: number; pages: number; more: boolean }>(
        options,
        'source.poll',
        { id, hours: parseCount('--hours', options.hours) },
        'asking',
      );
      if (options.json === true) return printJson(polled);
      say(`${polled.stored} new, ${polled.duplicates} known, ${polled.pages} page(s).`);
      if (polled.more) say('The list is longer; the running server goes on with it by itself.');
    });
}
