/** One PostgreSQL for the tests that run on both engines; each archive has an id of its own, so one database serves all. */
import type { TestProject } from 'vitest/node';

import { startTestServer } from './postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `postgres://…`. */
    database: string;
  }
}

/** Starts it before the first test file, and stops it after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestServer();
  project.provide('database', server.url);
  return () => server.stop();
}
