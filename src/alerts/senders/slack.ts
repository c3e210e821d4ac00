/** Slack's incoming webhooks. `&`, `<` and `>` are markup there: `<!channel>` would call everybody. */
import type { NoticeText } from '../notice.ts';

/** Characters of a section at most (Slack's own limit is 3000). */
const SECTION_CHARS_MAX = 2900;
const HEADER_CHARS_MAX = 150;

/** The message: a text for notifications, blocks for the channel. */
export function formatSlack({ title, lines }: NoticeText): Record<string, unknown> {
  const section = lines.map(escapeSlack).join('\n').slice(0, SECTION_CHARS_MAX);
  return {
    text: escapeSlack(title),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: title.slice(0, HEADER_CHARS_MAX), emoji: false } },
      { type: 'section', text: { type: 'mrkdwn', text: section, verbatim: true } },
    ],
  };
}

function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
