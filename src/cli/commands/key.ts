import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import { READING_SCOPES, SCOPES } from '../../access/api-keys.ts';
import { printKit, rememberHead, restoreRoot, rotateRoot, rotateSealKey, shareKit } from '../../archive/key-care.ts';
import { succeedLog } from '../../archive/log-successor.ts';
import type { HousePlace } from '../../archive/house-place.ts';
import { CartularyError } from '../../model/errors.ts';
import { housePlaceOf } from '../../settings.ts';
import { parseCount, runOperation, settingsOf, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect } from '../given.ts';
import { joinKitFiles } from '../kit-files.ts';
import { print, printJson, say } from '../output.ts';

type Listed = { id: string; name: string; scopes: string[]; createdAt: string; revokedAt: string | null }[];

/** `key`: API keys, and the archive's own keys. */
export function defineKey(key: Command): void {
  registerApiKeys(key);
  registerOwnKeys(key);
  registerDestroy(key);
}

function registerDestroy(key: Command): void {
  withCommonOptions(
    key
      .command('destroy <message>')
      .description("destroy a message's key because card data was found in it: nothing brings the content back"),
  )
    .option('--yes', 'it is meant')
    .action(async (id: string, options: CommonOptions & { yes?: boolean }) => {
      if (options.yes !== true)
        throw new CartularyError('bad-input', 'nothing brings the content back; say --yes if it is meant');
      const destroyed = await runOperation(options, 'destroy', { id });
      if (options.json === true) return printJson(destroyed);
      say('Destroyed, and on record. Backups of keys that were made before can still open it until they expire.');
    });
}

function registerApiKeys(key: Command): void {
  withCommonOptions(key.command('create').description('make an API key'))
    .requiredOption('--name <name>', 'what it is for')
    .option('--scope <scope...>', `rights: ${Object.keys(SCOPES).join(', ')}; by default ${READING_SCOPES.join(' ')}`)
    .action(async (options: CommonOptions & { name: string; scope?: string[] }) => {
      const made = await runOperation<{ id: string; apiKey: string }>(options, 'key.create', {
        name: options.name,
        ...(options.scope === undefined ? {} : { scopes: options.scope }),
      });
      if (options.json === true) return printJson(made);
      print(made.apiKey);
      say(`${made.id}: shown this once; revoke it with "cartulary key revoke ${made.id}".`);
    });
  withCommonOptions(key.command('list').description('API keys, without their secrets')).action(
    async (options: CommonOptions) => {
      const keys = await runOperation<Listed>(options, 'key.list', {});
      if (options.json === true) return printJson(keys);
      for (const { id, name, scopes, revokedAt } of keys)
        print(`${id}  ${name}  ${revokedAt === null ? scopes.join(' ') : `revoked ${revokedAt}`}`);
    },
  );
  withCommonOptions(key.command('revoke <id>').description('an API key stops working at once')).action(
    async (id: string, options: CommonOptions) => {
      const revoked = await runOperation(options, 'key.revoke', { id });
      if (options.json === true) printJson(revoked);
      else say('Revoked.');
    },
  );
}

function registerOwnKeys(key: Command): void {
  withCommonOptions(
    key.command('rotate-root').description('a new root key; prints a new recovery kit (stop the archive first)'),
  ).action(async (options: CommonOptions) => {
    const rotated = await rotateRoot(placeOf(options));
    if (options.json === true) return printJson(rotated);
    print(rotated.recoveryKit);
    say('The root key is new. Print this kit; the old one opens nothing any more.');
  });
  withCommonOptions(
    key.command('rotate-archive').description('a new key for what is sealed from now on (stop the archive first)'),
  ).action(async (options: CommonOptions) => {
    const rotated = await rotateSealKey(placeOf(options));
    if (options.json === true) return printJson(rotated);
    say(`Version ${rotated.version} seals from now on.`);
  });
  withCommonOptions(
    key
      .command('rotate-epoch')
      .description(
        'where the records are in PostgreSQL: wrap every key anew, so that older copies of the database give back nothing that was erased (done every 7 days by itself)',
      ),
  ).action(async (options: CommonOptions) => {
    const rotated = await runOperation<{ epoch: number; rewrapped: number }>(options, 'key.rotate-epoch', {});
    if (options.json === true) return printJson(rotated);
    say(`Epoch ${rotated.epoch} begins; ${rotated.rewrapped} keys were wrapped anew, and the former key is destroyed.`);
  });
  withCommonOptions(key.command('kit').description('print the recovery kit again (stop the archive first)')).action(
    async (options: CommonOptions) => {
      const kit = await printKit(placeOf(options));
      if (options.json === true) return printJson(kit);
      print(kit.recoveryKit);
    },
  );
  registerSplit(key);
  withCommonOptions(
    key
      .command('remember')
      .description(
        'give the signer its memory again, where the directory beside the data was lost (stop the archive first)',
      ),
  )
    .option(
      '--checkpoint <file>',
      'a signed checkpoint that somebody else holds; may be given several times',
      (value: string, known: string[]) => [...known, value],
      [],
    )
    .action(async (options: CommonOptions & { checkpoint: string[] }) => {
      const checkpoints = await Promise.all(options.checkpoint.map((path) => readFile(path, 'utf8')));
      const head = await rememberHead(placeOf(options), checkpoints);
      if (options.json === true) return printJson(head);
      say(`The signer remembers ${head.size} records of ${head.origin}.`);
    });
  registerSuccessor(key);
  withCommonOptions(
    key
      .command('restore <kit...>')
      .description("write the root key's file from a recovery kit, or from as many of its shares as it takes"),
  ).action(async (files: string[], options: CommonOptions) => {
    const restored = await restoreRoot(placeOf(options), (await joinKitFiles(files)) ?? '');
    if (options.json === true) return printJson(restored);
    say(`Root key ${restored.rootId} is back at ${restored.location}.`);
  });
}

function registerSuccessor(key: Command): void {
  withCommonOptions(
    key
      .command('successor')
      .description(
        'where the database lost records that were signed: say which, and with --yes go on with a successor of the log (stop all nodes first)',
      ),
  )
    .option('--yes', 'it is meant')
    .action(async (options: CommonOptions & { yes?: boolean }) => {
      const found = await succeedLog(placeOf(options), options.yes === true);
      if (options.json === true) return printJson(found);
      const { origin, size, lostFrom, records, kinds, firstAt, lastAt, media, opened, logKey } = found;
      say(`The log ${origin} has ${size} records by its newest signed head; those from ${lostFrom} on are lost.`);
      for (const [kind, count] of Object.entries(kinds)) print(`${count}  ${kind}`);
      if (firstAt !== null && lastAt !== null) say(`They were captured from ${firstAt} to ${lastAt}.`);
      if (media > 0)
        say(
          `${media} media are of lost records, and nobody can open them; ${opened ? 'they are gone' : '--yes removes them'}.`,
        );
      say(`The database holds ${records} records, ${records - lostFrom} of which came after the loss.`);
      say(
        opened
          ? `The successor begins with the next start. It is signed with a new key, which must be published: ${logKey}`
          : 'Where the lost records can still be had (the former primary, a newer replica), have the database brought back first. Where they cannot, say --yes: the log goes on as a successor, which names the lost range for good.',
      );
    });
}

type SplitCommand = CommonOptions & { shares: string; threshold: string; holder: string[]; out?: string };

function registerSplit(key: Command): void {
  withCommonOptions(
    key
      .command('split')
      .description(
        'print the recovery kit in shares, of which some together open the archive (stop the archive first)',
      ),
  )
    .option('--shares <n>', 'how many there are', '3')
    .option('--threshold <n>', 'how many of them it takes', '2')
    .option('--holder <name>', 'who is to keep a share; once for each, in order', collect, [])
    .option('--out <dir>', 'write each to a file of its own in this directory instead of printing them')
    .action(async (options: SplitCommand) => {
      const place = placeOf(options);
      const { texts, split } = await shareKit(place, {
        shares: parseCount('--shares', options.shares),
        threshold: parseCount('--threshold', options.threshold),
        holders: options.holder,
      });
      const files = texts.map((_text, index) => join(options.out ?? '', `share-${'ABCDEFGH'.charAt(index)}.txt`));
      if (options.out !== undefined) {
        await mkdir(options.out, { recursive: true, mode: 0o700 });
        for (const [index, file] of files.entries())
          await writeFile(file, texts[index] ?? '', { flag: 'wx', mode: 0o600 });
      }
      if (options.out === undefined && options.json !== true) print(texts.join('\f'));
      // On record only when they are out: else the archive would count as cared for and nobody would have a share.
      await runOperation(options, 'care.kit', split);
      if (options.json === true)
        return printJson(options.out === undefined ? { ...split, texts } : { ...split, files });
      say(
        `${split.threshold} of these ${split.shares} shares give root key ${split.rootId}. Print each by itself, give each to another person, then delete the files. Try them: "cartulary drill".`,
      );
    });
}

function placeOf(options: CommonOptions): HousePlace {
  return housePlaceOf(settingsOf(options));
}
