/**
 * What is wrong on which node. Each looks at itself and tells the others (archive/nodes.ts); the one that gives the alerts adds what it is told, with the name of the node, and
 * whether it hears of them at all. What was last heard of a node holds until it says otherwise or stops: not known is not over. No clock but our own decides who is silent.
 */
import { statfs } from 'node:fs/promises';

import type { Logger } from 'pino';

import type { Archive } from '../archive/archive.ts';
import { NODE_FINDINGS_MAX } from '../archive/node-condition.ts';
import type { NodeCondition } from '../archive/node-condition.ts';
import type { KnownNode } from '../archive/nodes.ts';
import type { SpoolState } from '../capture/spool.ts';
import { CONDITIONS } from './conditions.ts';
import type { ConditionCode } from './conditions.ts';
import { createLooks } from './looks.ts';
import type { Looked } from './looks.ts';
import { isoTime } from './notice.ts';
import { createArchiveProbes, createOwnProbes } from './probes.ts';
import type { Machine, Probe, ProbeParts } from './probes.ts';
import type { Finding } from './watch.ts';

/** A node says every five seconds that it is there. */
const SILENT_MS = 60_000;
/** Looks are 15 seconds apart and signs 5, so that less than this cannot be told. */
const CLOCK_APART_MS = 120_000;

/** The machine under a data directory. */
export function machineOf(directory: string): Machine {
  return {
    async diskFree() {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },
    memoryFree: () => process.availableMemory(),
  };
}

/** Looks at this node and, where there are several, at what the others tell. */
export type Lookout = {
  /** Looks at this node alone, so that it can say how it is. */
  lookHere(): Promise<void>;
  /** Looks at everything, as the node does that gives the alerts. */
  lookEverywhere(): Promise<Looked>;
  /** How this node is, as of its last look. */
  tellCondition(): Promise<NodeCondition>;
};

/** Makes a lookout. */
export function createLookout(parts: ProbeParts, log: Logger): Lookout {
  const { archive, now } = parts;
  const { node } = archive;
  const own = keepLooked(createLooks(createOwnProbes(parts), now, log));
  const others = node === undefined ? undefined : createOtherNodes(archive, now);
  const overall = [...createArchiveProbes(parts), ...(others === undefined ? [] : [others.probe])];
  const lookOverall = createLooks(overall, now, log);
  return {
    lookHere: async () => void (await own.look()),
    async lookEverywhere() {
      const [all, here] = await Promise.all([lookOverall(), own.look()]);
      const mine = node === undefined ? here.findings : here.findings.map((finding) => atNode(finding, node));
      return {
        codes: [...all.codes, ...here.codes],
        findings: [...all.findings, ...mine, ...(others?.findings() ?? [])],
      };
    },
    tellCondition: () => tellCondition(parts, own.last()),
  };
}

/** Looks as `looks` does and keeps what each look gave until the next for the same conditions. */
function keepLooked(looks: () => Promise<Looked>): { look(): Promise<Looked>; last(): Looked } {
  const known = new Map<ConditionCode, readonly Finding[]>();
  const last = (): Looked => ({ codes: [...known.keys()], findings: [...known.values()].flat() });
  return {
    last,
    async look() {
      const { codes, findings } = await looks();
      for (const code of codes)
        known.set(
          code,
          findings.filter((finding) => finding.code === code),
        );
      return last();
    },
  };
}

/** How this node is, for the others. */
async function tellCondition(
  { machine, spools }: Pick<ProbeParts, 'machine' | 'spools'>,
  { findings }: Looked,
): Promise<NodeCondition> {
  const waiting = spools().find(({ subject }) => subject === undefined)?.state;
  return {
    diskFreeBytes: await machine.diskFree(),
    memoryFreeBytes: machine.memoryFree(),
    ...(waiting === undefined ? {} : { spool: showSpool(waiting) }),
    findings: findings.slice(0, NODE_FINDINGS_MAX).map(({ code, subject, facts }) => ({
      code,
      ...(subject === undefined ? {} : { subject }),
      facts: { ...facts },
    })),
  };
}

function showSpool({ oldestMs, ...counts }: SpoolState): NonNullable<NodeCondition['spool']> {
  return { ...counts, ...(oldestMs === undefined ? {} : { oldestMs }) };
}

/** A finding of one of several nodes: an alert of its own for each. */
function atNode({ code, subject, facts }: Finding, node: string): Finding {
  return {
    code,
    subject: subject === undefined ? node : `${subject} at ${node}`,
    facts: { ...facts, node },
  };
}

/** What is known of the other nodes. */
type OtherNodes = {
  /** Whether they are heard of, and whether their clocks are right. */
  readonly probe: Probe;
  /** What they have told of themselves, as of the last look. */
  findings(): readonly Finding[];
};

/** What was seen of a node: the time that it said, when that changed by our clock, and by how much the two differed then. */
type Seen = { readonly saidMs: number; readonly changedMs: number; readonly apartMs: number };

/** Looks at the other nodes. @param now our clock */
function createOtherNodes(archive: Archive, now: () => number): OtherNodes {
  const seen = new Map<string, Seen>();
  const box: { nodes: readonly KnownNode[] } = { nodes: [] };
  const note = ({ name, atMs }: KnownNode): Seen => {
    const before = seen.get(name);
    if (before?.saidMs === atMs) return before;
    // How long ago the first that is seen of a node was said is not known.
    const apartMs = before === undefined ? 0 : atMs - now();
    const fresh = { saidMs: atMs, changedMs: now(), apartMs };
    seen.set(name, fresh);
    return fresh;
  };
  const judge = (node: KnownNode): Finding[] => {
    const { saidMs, changedMs, apartMs } = note(node);
    if (now() - changedMs > SILENT_MS)
      return [{ code: 'node-silent', subject: node.name, facts: { node: node.name, at: isoTime(saidMs) } }];
    if (Math.abs(apartMs) <= CLOCK_APART_MS) return [];
    const seconds = Math.round(apartMs / 1000);
    return [{ code: 'clock-apart', subject: node.name, facts: { node: node.name, seconds } }];
  };
  return {
    probe: {
      covers: ['node-silent', 'clock-apart'],
      everyMs: 0,
      async look() {
        box.nodes = (await archive.listNodes()).filter(({ isThis, stopped }) => !isThis && !stopped);
        for (const name of seen.keys()) if (!box.nodes.some((node) => node.name === name)) seen.delete(name);
        return box.nodes.flatMap(judge);
      },
    },
    findings: () =>
      box.nodes.flatMap(({ name, condition }) =>
        condition.findings.flatMap((found) =>
          isCondition(found.code) ? [atNode({ ...found, code: found.code }, name)] : [],
        ),
      ),
  };
}

/** A newer version may tell of what this one does not know. */
function isCondition(code: string): code is ConditionCode {
  return Object.hasOwn(CONDITIONS, code);
}
