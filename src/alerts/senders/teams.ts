/**
 * Microsoft Teams by a workflow ("When a Teams webhook request is received"), which takes Adaptive Cards only: `contentUrl` must be there and null, and cards above version 1.4 are not
 * shown by every client. The connectors before it answer 200 with the failure in the text.
 */
import type { NoticeText } from '../notice.ts';

const COLOURS = { critical: 'attention', error: 'attention', warning: 'warning', info: 'default' } as const;

/** The card. Its runs of text know no Markdown, so that ids and commands are shown, and copied, as they are. */
export function formatTeams({ severity, title, lines }: NoticeText): Record<string, unknown> {
  const block = (text: string, style: Record<string, unknown> = {}) => ({
    type: 'RichTextBlock',
    inlines: [{ type: 'TextRun', text, ...style }],
  });
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body: [
            block(title, { weight: 'bolder', size: 'medium', color: COLOURS[severity] }),
            ...lines.map((line) => block(line)),
          ],
        },
      },
    ],
  };
}

/** A failure behind a 200: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 …". */
export function readTeamsAnswer(body: string): { readonly status: number } | undefined {
  if (!body.includes('delivery failed')) return undefined;
  return { status: Number(/HTTP error (\d{3})/.exec(body)?.[1] ?? 502) };
}
