import { describe, expect, it } from 'vitest';

import { stepTimes } from './profile.ts';

const frame = (functionName: string, url = '') => ({ functionName, url });

describe('a CPU profile', () => {
  it('is added up by the innermost file of ours, idle time left out', () => {
    const profile = {
      nodes: [
        { id: 1, callFrame: frame('(root)'), children: [2, 5, 6] },
        { id: 2, callFrame: frame('run', 'file:///x/src/archive/threads/seal-thread.ts'), children: [3] },
        { id: 3, callFrame: frame('sealRecord', 'file:///x/src/vault/seal.ts'), children: [4] },
        { id: 4, callFrame: frame('hash', 'node:internal/crypto/hash') },
        { id: 5, callFrame: frame('(idle)') },
        { id: 6, callFrame: frame('(garbage collector)') },
      ],
      samples: [2, 3, 4, 5, 6],
      timeDeltas: [10, 20, 30, 1000, 5],
    };
    expect(stepTimes(profile)).toEqual([
      { thread: 'seal', step: 'file', us: 10 },
      { thread: 'seal', step: 'seal', us: 50 },
      { thread: 'seal', step: 'garbage collection', us: 5 },
    ]);
  });

  it('of a thread that runs nothing of its own is the main one', () => {
    const nodes = [{ id: 1, callFrame: frame('read', 'file:///x/src/capture/receive.ts') }];
    expect(stepTimes({ nodes, samples: [1], timeDeltas: [7] })).toEqual([{ thread: 'main', step: 'read', us: 7 }]);
  });
});
