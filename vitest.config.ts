import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

import { whyNoServer } from './test/support/postgres.ts';

/** Tests of the whole product that run on both engines. */
const ON_BOTH = ['api', 'capture', 'guard-later'].map((name) => `test/e2e/${name}.test.ts`);

/** Files that take minutes begin first, so that none of them runs on alone at the end. */
const LONG = ['test/durability/', 'test/e2e/', 'test/pack', 'test/docs'];

/** Long ones first, the others as they would be. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((part) => moduleId.includes(part));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

const missing = whyNoServer();
if (missing !== undefined) process.stdout.write(`skipped, ${ON_BOTH.join(', ')} on PostgreSQL: ${missing}\n`);

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        test: { name: 'sqlite', include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'] },
      },
      ...(missing === undefined
        ? [
            {
              extends: true as const,
              test: {
                name: 'postgres',
                include: ON_BOTH,
                setupFiles: ['test/support/use-postgres.ts'],
                globalSetup: ['test/support/postgres-for-all.ts'],
              },
            },
          ]
        : []),
    ],
  },
});
