import type { Command } from 'commander';

import type { MessagePage, MessageView } from '../../archive/views.ts';
import { parseCount, runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printable, printJson, say } from '../output.ts';

/** `search`: finds messages. */
export function defineSearch(command: Command): void {
  withCommonOptions(command)
    .option('--limit <n>', 'hits to show', '20')
    .option('--cursor <cursor>', 'the page after')
    .action(async (words: string[], options: CommonOptions & { limit: string; cursor?: string }) => {
      const page = await runOperation<MessagePage>(options, 'search', {
        q: words.join(' '),
        limit: parseCount('--limit', options.limit),
        cursor: options.cursor,
      });
      if (options.json === true) return printJson(page);
      for (const item of page.items) print(formatMessage(item));
      for (const hint of page.hints) say(paint('yellow', hint));
      say(
        `${page.total}${page.totalRelation === 'gte' ? ' or more' : ''} message(s) for: ${printable(page.query) || 'everything'}`,
      );
      if (page.nextCursor !== null) say(`More: --cursor ${page.nextCursor}`);
    });
}

/** A message on one or two lines. */
export function formatMessage(message: MessageView): string {
  const from = message.from === null ? '?' : (message.from.name ?? message.from.address);
  const to = message.to.map((party) => party.name ?? party.address).join(', ');
  const state = message.delivery.state === null ? '' : ` ${message.delivery.state}`;
  const head = `${message.sentAt ?? message.capturedAt}  ${message.channel}${state}  ${printable(from)} → ${printable(to)}`;
  const text = message.text ?? (message.contentState === 'present' ? '' : `(${message.contentState})`);
  const parts = message.parts.length === 0 ? '' : ` [${message.parts.map((part) => part.kind).join(', ')}]`;
  return `${paint('dim', `${head}  ${message.id}`)}\n  ${printable(text)}${parts}`;
}
