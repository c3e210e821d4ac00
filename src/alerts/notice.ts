/** What is said about an alert, in words, for every route alike. Holds no content; see conditions.ts. */
import { CONDITIONS, fill, titleOf } from './conditions.ts';
import type { ConditionCode, Facts, Severity } from './conditions.ts';

/** What has happened to an alert. */
export const NOTICE_KINDS = ['opened', 'repeated', 'escalated', 'acknowledged', 'resolved', 'test'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** What is told, as it was when it was decided to be told. */
export type Notice = {
  readonly kind: NoticeKind;
  readonly alertId: string;
  /** `test` is told by `alert test` alone. */
  readonly code: ConditionCode | 'test';
  readonly facts: Facts;
  readonly openedAtMs: number;
  /** Whose it is: who is told over this route, or who has acknowledged it. */
  readonly owner: string;
  readonly acknowledgedBy?: string | undefined;
  readonly atMs: number;
};

/** The archive that speaks. */
export type Speaker = { readonly archiveId: string; readonly archiveName: string };

/** A notice in words. */
export type NoticeText = {
  readonly severity: Severity | 'info';
  /** One line. */
  readonly title: string;
  readonly lines: readonly string[];
};

/** Puts a notice into words. */
export function describeNotice(notice: Notice, speaker: Speaker): NoticeText {
  if (notice.code === 'test')
    return {
      severity: 'info',
      title: `TEST from ${speaker.archiveName}`,
      lines: ['This is a test of this route: nothing is wrong.', `It is told to ${notice.owner}.`],
    };
  const { severity, text, meaning, todo } = CONDITIONS[notice.code];
  const since = `Since ${isoTime(notice.openedAtMs)}.`;
  const named = `${speaker.archiveName}: ${titleOf(notice.code, notice.facts)}`;
  switch (notice.kind) {
    case 'acknowledged':
      return {
        severity,
        title: `ACKNOWLEDGED ${named}`,
        lines: [`${notice.acknowledgedBy ?? notice.owner} sees to it.`, since],
      };
    case 'resolved':
      return {
        severity,
        title: `RESOLVED ${named}`,
        lines: [`It is over. ${since}`, `Over at ${isoTime(notice.atMs)}.`],
      };
    case 'opened':
    case 'repeated':
    case 'escalated':
    case 'test':
      return {
        severity,
        title: `${severity.toUpperCase()} ${named}`,
        lines: [
          fill(text, notice.facts),
          `What it means: ${meaning}`,
          `What to do: ${fill(todo, notice.facts)}`,
          notice.kind === 'opened' ? since : `${since} Nobody has acknowledged it yet.`,
          `For: ${notice.owner}. Acknowledge: cartulary alert ack ${notice.alertId} --by NAME`,
        ],
      };
  }
}

/** A time as people and programs read it. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
