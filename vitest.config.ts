import { defineConfig } from 'vitest/config';

import { whyNoServer } from './test/support/postgres.ts';

/** Tests of the whole product that run on both engines. */
const ON_BOTH = ['api', 'capture', 'import-export', 'guard-later'].map((name) => `test/e2e/${name}.test.ts`);

const missing = whyNoServer();
if (missing !== undefined) console.log(`skipped, ${ON_BOTH.join(', ')} on PostgreSQL: ${missing}`);

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
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
