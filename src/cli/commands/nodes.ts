import type { Command } from 'commander';

import type { NodeView } from '../../api/operations/nodes.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { paint, print, printJson } from '../output.ts';

const GIB = 1024 ** 3;

/** `nodes`: which nodes an archive has, what each does, and how far it is. */
export function defineNodes(command: Command): void {
  withCommonOptions(command).action(async (options: CommonOptions) => {
    const { nodes } = await runOperation<{ nodes: readonly NodeView[] }>(options, 'node.list', {});
    if (options.json === true) return printJson({ nodes });
    if (nodes.length === 0) print('This archive has one node, which needs no name.');
    for (const node of nodes) print(describe(node));
  });
}

function describe(node: NodeView): string {
  const { name, roles, state, version, url, leads, behind, seenAt, isThis, diskFreeBytes, problems } = node;
  const how = state === 'running' ? paint('green', state) : paint(state === 'silent' ? 'red' : 'dim', state);
  const more = [
    roles.join(', '),
    ...(url === '' ? [] : [url]),
    version,
    ...(leads ? ['does what only one may do'] : []),
    ...(behind > 0 ? [`index ${behind} records behind`] : []),
    `disk ${(diskFreeBytes / GIB).toFixed(1)} GiB free`,
    ...describeSpool(node.spool),
    ...(problems.length > 0 ? [paint('red', problems.join(', '))] : []),
    ...(state === 'running' ? [] : [`last heard of ${seenAt}`]),
  ];
  return `${name}${isThis ? ' (this one)' : ''}: ${how}; ${more.join('; ')}`;
}

function describeSpool(spool: NodeView['spool']): string[] {
  if (spool === null || spool.oldestAt === null) return [];
  return [`spool ${spool.envelopes} envelopes, ${spool.bytes} bytes, the oldest of ${spool.oldestAt}`];
}
