/** Nodes of an archive. */
import { z } from 'zod';

import type { KnownNode } from '../../archive/nodes.ts';
import { isoTime } from '../../alerts/notice.ts';
import { defineOperation } from '../operation.ts';

/** Milliseconds without a sign after which a node counts as gone. */
const SILENT_MS = 30_000;

/** A node as it is shown. */
export type NodeView = Pick<KnownNode, 'name' | 'roles' | 'version' | 'url' | 'leads' | 'isThis'> & {
  readonly state: 'running' | 'stopped' | 'silent';
  readonly seenAt: string;
  /** Records of the log that its index has not followed yet. */
  readonly behind: number;
};

const listNodes = defineOperation('node.list', z.strictObject({}), async (_args, { service, caller }) => {
  const { archive, now } = service;
  await archive.allow(caller, 'settings:read', 'list-nodes');
  const size = await archive.size();
  const nodes = (await archive.listNodes()).map((node) => describeNode(node, { nowMs: now(), size }));
  return { nodes };
});

/** Operations on nodes. */
export const NODE_OPERATIONS = [listNodes];

/** @param at our clock and the size of the log */
export function describeNode(node: KnownNode, at: { readonly nowMs: number; readonly size: number }): NodeView {
  const { name, roles, version, url, leads, isThis, atMs, followed, stopped } = node;
  const isSilent = at.nowMs - atMs > SILENT_MS;
  const state = stopped ? 'stopped' : isSilent ? 'silent' : 'running';
  const follows = roles.some((role) => role !== 'edge');
  return {
    ...{ name, roles, version, url, isThis, state },
    leads: leads && state === 'running',
    seenAt: isoTime(atMs),
    behind: follows ? Math.max(0, at.size - followed) : 0,
  };
}
