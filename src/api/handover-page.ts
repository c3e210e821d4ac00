/** The page for whoever takes over, in Markdown. */
import type { Handover } from './handover.ts';

/** What stands in a table or behind a label may be anybody's words. */
const cell = (text: string | null): string =>
  text === null ? '**not said**' : text.replaceAll(/[\u0000-\u001f\u007f]/g, ' ').replaceAll('|', '\\|');

/** Writes it. */
export function formatHandover(page: Handover): string {
  return [
    ...head(page),
    ...sources(page),
    ...keys(page),
    ...backups(page),
    ...alerts(page),
    '## Check it without us',
    '',
    `The log of this archive is \`${page.archive.log}\`. Its public key, which you should have from another place than this page:`,
    '',
    `    ${page.archive.logKey}`,
    '',
    '- `cartulary verify` checks every record against the log.',
    '- `cartulary verify --bundle FILE --log-key KEY` checks an export on any machine. docs/verify-without-us.md says how to do it with other programs.',
    '- `cartulary doctor` goes from the internet to the search result, step by step.',
    '',
  ].join('\n');
}

function head({ archive, madeAt, version, missing, owners, storage }: Handover): string[] {
  return [
    `# Handover: ${cell(archive.name)}`,
    '',
    `As of ${madeAt}, Cartulary ${version}. Archive \`${archive.id}\`, ${archive.records} records. No secret and no message is on this page.`,
    '',
    ...(missing.length === 0
      ? []
      : ['**Not in order yet:**', '', ...missing.map(({ text, todo }) => `- ${text}. ${todo}`), '']),
    '## Who answers for it',
    '',
    ...(owners.length === 0 ? ['Nobody is named.'] : owners.map((owner) => `- ${cell(owner)}`)),
    '',
    '## Where it is',
    '',
    `- Data directory: \`${storage.data}\``,
    `- Records: ${cell(storage.records)}`,
    `- Media: ${cell(storage.media)}`,
    '',
  ];
}

function sources({ sources: connected, deadlines }: Handover): string[] {
  const rows = connected.map(
    ({ id, name, platform, since, owner, tokenExpires, inFrontOfTheShop }) =>
      `| ${cell(name)} | ${cell(platform)}${inFrontOfTheShop ? ', in front of the shop' : ''} | ${since.slice(0, 10)} | ${cell(owner)} | ${cell(tokenExpires)} | \`${id}\` |`,
  );
  return [
    '## Sources',
    '',
    ...(rows.length === 0
      ? ['None is connected.']
      : [
          '| source | platform | since | owner of the token | token expires | id |',
          '|---|---|---|---|---|---|',
          ...rows,
        ]),
    '',
    '## Deadlines',
    '',
    ...(deadlines.length === 0 ? ['None is known.'] : deadlines.map(({ what, on }) => `- ${on}: ${cell(what)}`)),
    '- Holds and retention schedules: this version has none; nothing is disposed of by itself.',
    '',
  ];
}

function keys({ keys: { rootKey, rootId, whoCanRead, keptAt, kit }, access }: Handover): string[] {
  const holders = kit === null || kit.holders.length === 0 ? 'holders not named' : kit.holders.map(cell).join(', ');
  return [
    '## Keys, and who can open them',
    '',
    `- Root key \`${rootId}\` at \`${rootKey}\`. ${whoCanRead}`,
    kit === null
      ? '- Recovery kit: **not split**. The one printed when the archive was made opens everything.'
      : `- Recovery kit: ${kit.threshold} of ${kit.shares} shares, printed ${kit.printedAt.slice(0, 10)}${kit.isOfThisRoot ? '' : ', **of a former root key: print new ones**'}; ${holders}`,
    `- Where kits and keys are kept: ${cell(keptAt)}`,
    '- API keys:',
    ...access.map(
      ({ id, name, scopes, since }) =>
        `  - ${cell(name)} (\`${id}\`, since ${since.slice(0, 10)}): ${scopes.join(', ')}`,
    ),
    '',
  ];
}

function backups({ backups: known }: Handover): string[] {
  const { places, newest, lastDrill, lastByHand, failingSince } = known;
  const plan =
    places === null
      ? ['- By themselves: **none**; set CARTULARY_BACKUP.']
      : [
          `- Every ${known.everyHours} hours; content kept ${known.keepDays} days, keys ${known.keepKeysDays} days`,
          ...Object.entries(places).map(([part, place]) => `- ${part}: ${cell(place)}`),
        ];
  return [
    '## Backups',
    '',
    ...plan,
    `- Last that is known to be good, or was made by hand: ${lastByHand ?? '**never**'}`,
    ...(newest === null
      ? []
      : [
          `- Newest: ${newest.time}, ${newest.records} records, ${newest.canBeRestored ? 'can be restored' : '**cannot be restored**'}`,
        ]),
    ...(failingSince === null ? [] : [`- **Failing since ${failingSince}**`]),
    lastDrill === null
      ? '- Restore drill: **never**'
      : `- Restore drill: ${lastDrill.at}, ${lastDrill.ok ? `in service again after ${lastDrill.seconds} s` : '**failed**'}; the backup was ${lastDrill.backupAgeHours} hours old`,
    '- To restore: docs/backup-and-restore.md.',
    '',
  ];
}

function alerts({ alerts: routes }: Handover): string[] {
  return [
    '## Who is told when something is wrong',
    '',
    ...(routes.length === 0
      ? ['**Nobody.** See docs/operate/alerts.md.']
      : routes.map(
          ({ name, kind, owner, severity, target }) =>
            `- ${cell(owner)}: ${cell(name)} (${kind} by ${cell(target)}, from ${severity})`,
        )),
    '',
  ];
}
