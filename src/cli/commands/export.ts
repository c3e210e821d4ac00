import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { ExportSummary } from '../../evidence/exports/exporter.ts';
import { EXPORTERS } from '../../evidence/exports/list.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { print, printJson, say } from '../output.ts';

type Options = CommonOptions & { readonly out: string; readonly format: string };

/** `export`: hands messages out with proofs. */
export function defineExport(command: Command): void {
  withCommonOptions(command)
    .requiredOption('--out <file>', 'file to write, e.g. bundle.zip')
    .option('--format <name>', EXPORTERS.map(({ name, title }) => `${name}: ${title}`).join('; '), 'jsonl')
    .action(async (words: string[], options: Options) => {
      const summary = await runOperation<ExportSummary & { path: string }>(
        options,
        'export',
        // The process that does it may stand in another directory.
        { q: words.join(' '), path: resolve(options.out), format: options.format },
        'exporting',
      );
      if (options.json === true) return printJson(summary);
      print(summary.path);
      say(
        `${summary.messages} messages, ${summary.records} records, ${summary.media} media. SHA-256 ${summary.sha256}`,
      );
      if (summary.missingMedia.length > 0)
        say(`${summary.missingMedia.length} media could not be had; the manifest lists them.`);
      say(`Anyone can check it: cartulary verify --bundle ${options.out} --log-key KEY`);
    });
}
