/** Nodes of an archive. */
import { z } from 'zod';

import type { NodeCondition } from '../../archive/node-condition.ts';
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
  readonly diskFreeBytes: number;
  readonly memoryFreeBytes: number;
  /** What was acknowledged there and is not filed yet. */
  readonly spool: {
    readonly envelopes: number;
    readonly bytes: number;
    readonly bytesMax: number;
    readonly damaged: number;
    readonly oldestAt: string | null;
  } | null;
  /** Codes of what is wrong there (docs/operate/alerts.md). */
  readonly problems: readonly string[];
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
  const { name, roles, version, url, leads, isThis, atMs, followed, stopped, condition } = node;
  const isSilent = at.nowMs - atMs > SILENT_MS;
  const state = stopped ? 'stopped' : isSilent ? 'silent' : 'running';
  const follows = roles.some((role) => role !== 'edge');
  return {
    ...{ name, roles, version, url, isThis, state },
    leads: leads && state === 'running',
    seenAt: isoTime(atMs),
    behind: follows ? Math.max(0, at.size - followed) : 0,
    diskFreeBytes: condition.diskFreeBytes,
    memoryFreeBytes: condition.memoryFreeBytes,
    spool: describeSpool(condition),
    problems: [...new Set(condition.findings.map(({ code }) => code))],
  };
}

function describeSpool({ spool }: NodeCondition): NodeView['spool'] {
  if (spool === undefined) return null;
  const { oldestMs, ...counts } = spool;
  return { ...counts, oldestAt: oldestMs === undefined ? null : isoTime(oldestMs) };
}
