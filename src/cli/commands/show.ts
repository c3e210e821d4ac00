import type { Command } from 'commander';

import type { ConversationView, MessageDetail } from '../../archive/views.ts';
import { CartularyError } from '../../model/errors.ts';
import { parseIsoInstant } from '../../model/time.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { print, printable, printJson } from '../output.ts';
import { formatMessage } from './search.ts';

/** `show`: one message with its history, or one conversation. */
export function defineShow(command: Command): void {
  withCommonOptions(command)
    .option('--at <time>', 'the message as it was known then, e.g. 2026-11-22T10:00:00Z')
    .action(async (id: string, options: CommonOptions & { at?: string }) => {
      const atMs = options.at === undefined ? undefined : parseIsoInstant(options.at, 'provider')?.ms;
      if (options.at !== undefined && atMs === undefined)
        throw new CartularyError('bad-input', '--at is a date-time such as 2026-11-22T10:00:00Z');
      const shown = await runOperation<MessageDetail | ConversationView>(options, 'show', { id, atMs });
      if (options.json === true) return printJson(shown);
      if ('messages' in shown) {
        for (const message of shown.messages) print(formatMessage(message));
        return;
      }
      print(formatMessage(shown));
      print(
        `  ${shown.platform} ${printable(shown.platformId)}, leaf ${shown.leafIndex}, conversation ${shown.conversationId ?? '-'}`,
      );
      for (const entry of shown.history)
        print(`  leaf ${String(entry.leafIndex).padStart(7)}  ${entry.capturedAt}  ${entry.kind}`);
    });
}
