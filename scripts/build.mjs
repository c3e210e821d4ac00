/**
 * Builds what a released package runs: JavaScript and declarations in dist/, and beside them whatever else src/ holds
 * that is not TypeScript, at the same places.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const src = path.join(root, 'src');
const dist = path.join(root, 'dist');
const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
/** Folders that only tests read; tsconfig.build.json leaves out the same. */
const TEST_FOLDERS = new Set(['testing', 'fixtures', 'vectors']);

rmSync(dist, { recursive: true, force: true });
const compiled = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

let assets = 0;
for (const name of filesOf(src)) {
  if (name.endsWith('.ts') || name.split(path.sep).some((part) => TEST_FOLDERS.has(part))) continue;
  cpSync(path.join(src, name), path.join(dist, name));
  assets += 1;
}

// The compiler rewrites the `.ts` of an import to `.js`, but not that of a URL, as workers are started from.
const modules = filesOf(dist).filter((name) => name.endsWith('.js'));
const stray = modules.filter((name) => {
  const text = readFileSync(path.join(dist, name), 'utf8');
  return [...text.matchAll(/new URL\(\s*['"`][^'"`]*\.ts['"`]/g)].length > 0;
});
for (const name of stray) {
  process.stderr.write(
    `dist/${name}: new URL('….ts', …) is not there once built; choose the ending by that of import.meta.url\n`,
  );
}
process.stdout.write(`build: ${modules.length} modules, ${assets} other files in dist/\n`);
process.exitCode = stray.length === 0 ? 0 : 1;

function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}
