/**
 * What a person is told of: a table of data. A code is stable and never used for anything else, since people's rules hang on it.
 *
 * `{name}` in `text` is filled from what was found: numbers, times, ids of sources and routes. Never a message's text, an address or a secret: whoever is woken needs none of them,
 * and what is sent lies for years with whoever delivers it.
 */

/** How bad it is; the words of PagerDuty. */
export const SEVERITIES = ['warning', 'error', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One condition. */
export type Condition = {
  readonly severity: Severity;
  /** One line, for a subject. */
  readonly title: string;
  /** What was found. */
  readonly text: string;
  /** What it means for the archive. */
  readonly meaning: string;
  /** What to do now. */
  readonly todo: string;
  /** Milliseconds for which it must hold before it is told, and must be over before it counts as over: what comes and goes wakes nobody. */
  readonly raiseAfterMs: number;
  readonly clearAfterMs: number;
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const CONDITIONS = {
  'not-keeping': {
    severity: 'critical',
    title: 'Nothing can be kept',
    text: 'A trial write to the archive failed ({cause}).',
    meaning:
      'Platforms are refused with 503 and send again for some hours or days; after that their messages are lost.',
    todo: 'Look at the disk (df, dmesg) and run "cartulary doctor".',
    raiseAfterMs: 0,
    clearAfterMs: MINUTE,
  },
  'spool-damaged': {
    severity: 'critical',
    title: 'Something that was acknowledged cannot be filed',
    text: '{where}: {damaged} file(s) of the spool cannot be opened.',
    meaning: 'What is in them was acknowledged and is not in the archive.',
    todo: 'Keep the files (.damaged) and look at the disk; ask the platforms for that time again ("cartulary source poll").',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'spool-waiting': {
    severity: 'error',
    title: 'What was acknowledged waits to be filed',
    text: '{where}: {envelopes} envelope(s) wait, {bytes} of at most {bytesMax} bytes, the oldest since {since}.',
    meaning:
      'It lies on the disk of that machine only: if that is lost, so is it. When the spool is full, senders are refused.',
    todo: 'Run "cartulary doctor": it says why it is not filed.',
    raiseAfterMs: MINUTE,
    clearAfterMs: 0,
  },
  'relay-away': {
    severity: 'error',
    title: 'A relay does not answer',
    text: 'Relay {relay}: nothing could be fetched since {since}.',
    meaning: 'What it takes in meanwhile lies on its disk only; where it does not run, platforms reach nobody.',
    todo: 'Run "cartulary relay list": it says why. See that the relay runs and that this machine reaches it.',
    raiseAfterMs: 2 * MINUTE,
    clearAfterMs: MINUTE,
  },
  'signing-stalled': {
    severity: 'critical',
    title: 'The log is not being signed',
    text: 'The newest records, of {records} altogether, are in no signed checkpoint ({cause}).',
    meaning: 'Capture goes on, but nobody outside can check what came in since.',
    todo: 'Run "cartulary doctor" and "cartulary verify": they say why the signer refuses, and with which command it goes on.',
    raiseAfterMs: MINUTE,
    clearAfterMs: MINUTE,
  },
  'verification-failed': {
    severity: 'critical',
    title: 'A verification found faults',
    text: 'The verification of {at} found {faults} fault(s).',
    meaning: 'Records, log or database are not what was signed.',
    todo: 'Run "cartulary verify": it names each fault and with which command it is put right. Keep the newest backups until then.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'disk-full': {
    severity: 'critical',
    title: 'The disk is about to be full',
    text: '{free} MiB are free.',
    meaning: 'When it is full nothing can be kept: platforms are refused until there is room.',
    todo: 'Make room on the disk of the data directory now, or enlarge it.',
    raiseAfterMs: 0,
    clearAfterMs: 5 * MINUTE,
  },
  'disk-low': {
    severity: 'warning',
    title: 'The disk is nearly full',
    text: '{free} MiB are free.',
    meaning: 'Capture stops when the disk is full.',
    todo: 'Plan for more room; "cartulary capacity" says how fast the archive grows.',
    raiseAfterMs: MINUTE,
    clearAfterMs: 5 * MINUTE,
  },
  'bad-signatures': {
    severity: 'error',
    title: 'A source is refused: bad signatures',
    text: 'Source {source} ({connector}): {waiting} refused envelope(s) wait, {refused} were refused since the start.',
    meaning:
      'The secret is probably wrong. A limited number of envelopes is kept; what comes beyond pushes the oldest out.',
    todo: 'Give the right secret with "cartulary source secret {source} --secret -"; what waits is then taken in.',
    raiseAfterMs: 0,
    clearAfterMs: MINUTE,
  },
  'ring-damaged': {
    severity: 'warning',
    title: 'Refused envelopes that were kept are damaged',
    text: 'Source {source} ({connector}): {files} file(s) cannot be opened any more.',
    meaning: 'They can never be taken in; the disk may be failing.',
    todo: 'Check the disk (dmesg); "cartulary doctor" names the files.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  quarantined: {
    severity: 'error',
    title: 'Envelopes cannot be read',
    text: 'Source {source}: {count} envelope(s) went into quarantine, the last at {at}.',
    meaning: 'They are kept whole, but nobody finds the messages in them. The platform may have changed its format.',
    todo: 'Update, then run "cartulary reprocess". It ends by itself a day after the last one.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'gaps-opened': {
    severity: 'warning',
    title: 'Something is missing',
    text: '{count} gap(s) opened, the last at {at}.',
    meaning: 'A message, its content or a medium should be here and is not; each is on record.',
    todo: 'Ask the platform for its list ("cartulary source poll") while it still has them, and see that its credentials are right. It ends by itself a day after the last one.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'media-at-risk': {
    severity: 'error',
    title: 'Media are about to be lost',
    text: 'Source {source}: a medium failed to be fetched {attempts} times; the platform deletes it at {lost}.',
    meaning: 'When the platform has deleted it, it is lost for good.',
    todo: 'Check the credentials of the source and whether this machine reaches the platform.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'jobs-overdue': {
    severity: 'error',
    title: 'Work is not being done',
    text: '{waiting} job(s) of kind {kind} wait, the oldest since {since}.',
    meaning: 'Media, content or checks for card data come late, and may come too late.',
    todo: 'Run "cartulary doctor"; if it says nothing, start the archive again.',
    raiseAfterMs: 5 * MINUTE,
    clearAfterMs: MINUTE,
  },
  'index-behind': {
    severity: 'warning',
    title: 'The search is behind',
    text: '{behind} record(s) cannot be found yet.',
    meaning: 'Nothing is lost, but searches do not find the newest messages.',
    todo: 'Where a large import runs, wait; otherwise run "cartulary doctor", then "cartulary rebuild".',
    raiseAfterMs: 10 * MINUTE,
    clearAfterMs: MINUTE,
  },
  'memory-low': {
    severity: 'warning',
    title: 'Memory is nearly used up',
    text: '{free} MiB may still be taken.',
    meaning:
      'The system ends a process that takes more. Nothing acknowledged is lost by that, but what comes meanwhile is refused.',
    todo: 'See what else runs there, or give it more: a server takes 512 MB.',
    raiseAfterMs: 10 * MINUTE,
    clearAfterMs: 5 * MINUTE,
  },
  'node-silent': {
    severity: 'error',
    title: 'A node is not heard of',
    text: 'It was last heard of at {at}.',
    meaning: 'It has died, or is cut off from the database. What waits in its spool is on its disk and nowhere else.',
    todo: 'Start it again on its machine. One that is gone for good is forgotten after seven days.',
    // After the database was away the others take some seconds to say that they are there.
    raiseAfterMs: MINUTE / 2,
    clearAfterMs: 0,
  },
  'clock-apart': {
    severity: 'warning',
    title: 'The clocks of two nodes are apart',
    text: 'Its clock differs by {seconds} s from that of the node that gives alerts.',
    meaning: 'Times on record come from both. Platforms that sign with the time are refused by the one that is wrong.',
    todo: 'Set both clocks by a time server (timedatectl).',
    raiseAfterMs: 5 * MINUTE,
    clearAfterMs: MINUTE,
  },
  'backup-missing': {
    severity: 'warning',
    title: 'There is no backup',
    text: 'No backup was ever made; there are {records} record(s), the first two days ago or more.',
    meaning: 'If this disk is lost, everything is.',
    todo: 'Run "cartulary backup DIRECTORY", to another machine and every day.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'backup-old': {
    severity: 'warning',
    title: 'The last backup is too old',
    text: 'The last backup was made at {at}.',
    meaning: 'What came since would be lost with this disk.',
    todo: 'See why the daily backup did not run, and run "cartulary backup DIRECTORY".',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'backup-failed': {
    severity: 'error',
    title: 'Backups fail',
    text: 'The backup that is made by itself has failed {times} time(s) since {since} ({cause}).',
    meaning: 'What came since the last sound backup would be lost with this disk.',
    todo: 'Run "cartulary backup": it says what is wrong. "unsound" means that it was made and cannot be restored.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
  'route-failing': {
    severity: 'error',
    title: 'Alerts or heartbeats do not arrive',
    text: 'Route {route} ({kind}) has failed since {since}.',
    meaning: 'Whoever is told over this route hears nothing.',
    todo: 'Run "cartulary alert test {route}": it says what the other side answers.',
    raiseAfterMs: 0,
    clearAfterMs: 0,
  },
} as const satisfies Record<string, Condition>;

/** A code of the table. */
export type ConditionCode = keyof typeof CONDITIONS;

/** All codes. */
export const CONDITION_CODES = Object.keys(CONDITIONS) as [ConditionCode, ...ConditionCode[]];

/** What was found: numbers, times, ids. */
export type Facts = Readonly<Record<string, string | number>>;

/** Milliseconds after which one who has not acknowledged is told again. */
export const REPEAT_AFTER_MS: Readonly<Record<Severity, number>> = {
  critical: 30 * MINUTE,
  error: 2 * HOUR,
  warning: 24 * HOUR,
};

/** Is one at least as bad as the other? */
export function isAtLeast(one: Severity, other: Severity): boolean {
  return SEVERITIES.indexOf(one) >= SEVERITIES.indexOf(other);
}

/** Its title, with the node that it is about where there are several. */
export function titleOf(code: ConditionCode, { node }: Facts): string {
  const { title } = CONDITIONS[code];
  return node === undefined ? title : `${title} (${node})`;
}

/** A text of the table with what was found; a fact that is not known is a dash. */
export function fill(text: string, facts: Facts): string {
  return text.replaceAll(/\{(\w+)\}/g, (_match, name: string) => String(facts[name] ?? '–'));
}
