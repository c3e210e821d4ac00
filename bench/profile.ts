/** Reads CPU profiles: which thread spent how much on which step of capture. */

/** What is needed of a profile as V8 writes it. @source Chrome DevTools Protocol, Profiler.Profile */
export type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
};

/** Microseconds that one thread spent on one step. */
export type StepTime = { readonly thread: string; readonly step: string; readonly us: number };

/** Threads, known by a file that only they run. The main one runs none of these. */
const THREADS: readonly (readonly [string, string])[] = [
  ['/src/archive/threads/seal-thread.', 'seal'],
  ['/src/store/sqlite/append.', 'store'],
  ['/src/archive/threads/follow-thread.', 'follow'],
  ['/src/archive/threads/log-thread.', 'log'],
  ['/src/archive/threads/read-thread.', 'read'],
  ['/src/archive/threads/count-thread.', 'count'],
];

/** Steps, by the innermost file of ours on the stack; the first that fits counts. */
const STEPS: readonly (readonly [RegExp, string])[] = [
  [/\/src\/capture\/guard/, 'guard'],
  [/\/src\/capture\//, 'read'],
  [/\/src\/archive\/record-codec|\/lz4-napi\//, 'pack'],
  [/\/src\/vault\//, 'seal'],
  [/\/src\/ledger\//, 'leaf and log'],
  [/\/src\/search\//, 'index'],
  [/\/src\/store\/(?:batch-codec|group-queue|growing-buffer|thread)|\/src\/archive\/seal-batch/, 'hand over'],
  [/\/src\/store\//, 'store'],
  [/\/src\/archive\//, 'file'],
  [/\/bench\//, 'benchmark'],
];

/** What is no work of a thread. */
const NOT_WORK: ReadonlySet<string> = new Set(['(idle)', '(root)']);

/** Adds up the profile of one thread. */
export function stepTimes(profile: CpuProfile): StepTime[] {
  const parents = new Map<number, number>();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  for (const { id, children = [] } of profile.nodes) for (const child of children) parents.set(child, id);
  const thread = threadOf(profile);
  const steps = new Map<number, string | undefined>();
  const stepOf = (id: number | undefined): string | undefined => {
    if (id === undefined) return undefined;
    if (!steps.has(id)) {
      const url = nodes.get(id)?.callFrame.url ?? '';
      steps.set(id, STEPS.find(([pattern]) => pattern.test(url))?.[1] ?? stepOf(parents.get(id)));
    }
    return steps.get(id);
  };
  const sums = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const name = nodes.get(id)?.callFrame.functionName ?? '';
    if (NOT_WORK.has(name)) return;
    const step = name === '(garbage collector)' ? 'garbage collection' : (stepOf(id) ?? 'Node itself');
    sums.set(step, (sums.get(step) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  return [...sums].map(([step, us]) => ({ thread, step, us }));
}

function threadOf({ nodes }: CpuProfile): string {
  const runs = (part: string): boolean => nodes.some(({ callFrame }) => callFrame.url.includes(part));
  return THREADS.find(([part]) => runs(part))?.[1] ?? 'main';
}
