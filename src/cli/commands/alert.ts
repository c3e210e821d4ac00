import type { Command } from 'commander';

import { ROUTE_KINDS } from '../../alerts/routes.ts';
import { SEVERITIES } from '../../alerts/conditions.ts';
import { parseCount, runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { collect, readSecret, splitSetting } from '../given.ts';
import { paint, print, printJson, say } from '../output.ts';

type AddOptions = CommonOptions & {
  readonly name: string;
  readonly owner?: string;
  readonly secret?: string;
  readonly set: string[];
  readonly after: string;
  readonly severity: string;
  readonly private?: boolean;
};

type ShownAlert = {
  id: string;
  severity: string;
  title: string;
  text: string;
  todo: string;
  openedAt: string;
  resolvedAt: string | null;
  acknowledgedBy: string | null;
};

type ShownRoute = {
  id: string;
  kind: string;
  name: string;
  owner: string;
  afterMinutes: number;
  severity: string;
  target: string;
  waiting: number;
  answer: string | null;
  failingSince: string | null;
};

/** `alert`: who is told when something is wrong, and what is wrong. */
export function defineAlert(alert: Command): void {
  registerAdd(alert);
  withCommonOptions(alert.command('list').description('open alerts, those that are over, and routes')).action(
    async (options: CommonOptions) => {
      const listed = await runOperation<{ alerts: ShownAlert[]; routes: ShownRoute[] }>(options, 'alert.list', {});
      if (options.json === true) return printJson(listed);
      for (const one of listed.alerts) print(formatAlert(one));
      for (const route of listed.routes) print(formatRoute(route));
      if (listed.routes.length === 0)
        say('Nobody is told: "cartulary alert add mail --name … --set host=… --set from=… --set to=…".');
    },
  );
  withCommonOptions(
    alert
      .command('test [route]')
      .description('send a real test over every route, or one; says what the other side answered'),
  ).action(async (route: string | undefined, options: CommonOptions) => {
    const tested = await runOperation<{
      ok: boolean;
      routes: { id: string; kind: string; name: string; ok: boolean; answer: string; ms: number }[];
    }>(options, 'alert.test', route === undefined ? {} : { route }, 'testing');
    if (!tested.ok) process.exitCode = 1;
    if (options.json === true) return printJson(tested);
    for (const { id, kind, name, ok, answer, ms } of tested.routes)
      print(
        `${paint(ok ? 'green' : 'red', ok ? 'arrived ' : 'failed  ')}${id}  ${kind}  ${name}: ${answer} (${ms} ms)`,
      );
    if (tested.routes.length === 0) say('There is no route to be tested.');
  });
  withCommonOptions(
    alert
      .command('ack <alert>')
      .description('take an alert upon yourself: nobody is told again, and it goes no further'),
  )
    .option('--by <name>', 'who sees to it (default: your name on this machine)')
    .action(async (id: string, options: CommonOptions & { by?: string }) => {
      const taken = await runOperation<ShownAlert>(options, 'alert.ack', {
        id,
        ...(options.by === undefined ? {} : { by: options.by }),
      });
      if (options.json === true) return printJson(taken);
      say(`On record: ${taken.acknowledgedBy} sees to it. What to do: ${taken.todo}`);
    });
  withCommonOptions(alert.command('remove <route>').description('tell nobody over this route any more')).action(
    async (route: string, options: CommonOptions) => {
      const removed = await runOperation(options, 'alert.remove', { route });
      if (options.json === true) printJson(removed);
      else say('The route is removed.');
    },
  );
}

function registerAdd(alert: Command): void {
  withCommonOptions(alert.command('add <kind>').description(`tell somebody: ${ROUTE_KINDS.join(', ')}`))
    .requiredOption('--name <name>', 'what you call it')
    .option('--owner <name>', 'the person or team that is told (default: the name)')
    .option(
      '--secret <secret>',
      'mail: the password; slack, teams, heartbeat: the address; pagerduty: the integration key; webhook: what is signed with (made where it is not given). "-" reads it from standard input',
    )
    .option('--set <name=value>', 'a setting of this kind; may be given several times', collect, [])
    .option('--after <minutes>', 'told only when nobody has acknowledged for so long', '0')
    .option('--severity <severity>', `what is less bad is not told: ${SEVERITIES.join(', ')}`, 'warning')
    .option('--private', 'it may lead into the private network')
    .action(async (kind: string, options: AddOptions) => {
      const secret = await readSecret(options.secret);
      const added = await runOperation<{ id: string; signingSecret?: string }>(options, 'alert.add', {
        kind,
        name: options.name,
        ...(options.owner === undefined ? {} : { owner: options.owner }),
        ...(secret === undefined ? {} : { secret }),
        settings: Object.fromEntries(options.set.map(splitSetting)),
        afterMinutes: parseCount('--after', options.after),
        severity: options.severity,
        isPrivate: options.private ?? false,
      });
      if (options.json === true) return printJson(added);
      print(added.id);
      if (added.signingSecret !== undefined)
        say(`Signed with ${added.signingSecret}: shown this once, for the other side.`);
      say(`Try it: "cartulary alert test ${added.id}".`);
    });
}

function formatAlert({ id, severity, title, text, todo, openedAt, resolvedAt, acknowledgedBy }: ShownAlert): string {
  const isOver = resolvedAt !== null;
  const state = isOver ? `over since ${resolvedAt}` : acknowledgedBy === null ? 'OPEN' : `${acknowledgedBy} sees to it`;
  const head = `${paint(isOver ? 'dim' : severity === 'warning' ? 'yellow' : 'red', severity.padEnd(9))}${id}  ${openedAt}  ${title} (${state})`;
  return isOver ? head : `${head}\n         ${text}\n         ${todo}`;
}

function formatRoute({
  id,
  kind,
  name,
  owner,
  afterMinutes,
  severity,
  target,
  waiting,
  answer,
  failingSince,
}: ShownRoute): string {
  const when = kind === 'heartbeat' ? '' : `, from ${severity}${afterMinutes > 0 ? `, after ${afterMinutes} min` : ''}`;
  const health = failingSince === null ? '' : paint('red', `  failing since ${failingSince}: ${answer ?? ''}`);
  return `route    ${id}  ${kind}  ${name} (${owner}${when}) ${target}${waiting > 0 ? `, ${waiting} waiting` : ''}${health}`;
}
