/**
 * Prints the totals of a test run as one line, from the JSON report that vitest wrote.
 *
 *   node scripts/totals.mjs <report.json>
 *
 * A test file that could not even be loaded holds no test that failed, and a run that broke off leaves no report; each
 * counts as one failure, so that the line never looks good when the run was not.
 */
import { readFileSync } from 'node:fs';

const totals = { passed: 0, failed: 0, skipped: 0 };
try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  for (const file of report.testResults) {
    const states = file.assertionResults.map((test) => test.status);
    totals.passed += states.filter((state) => state === 'passed').length;
    totals.skipped += states.filter((state) => state !== 'passed' && state !== 'failed').length;
    const failed = states.filter((state) => state === 'failed').length;
    totals.failed += failed === 0 && file.status === 'failed' ? 1 : failed;
  }
  if (!report.success && totals.failed === 0) totals.failed = 1;
} catch (error) {
  process.stderr.write(`totals: no report of the test run (${error.message})\n`);
  totals.failed = 1;
}
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exitCode = totals.failed === 0 ? 0 : 1;
