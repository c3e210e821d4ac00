/**
 * The checker of the house's floors: runs dependency-cruiser with our rules over `src` and names every rule broken.
 *
 *   node scripts/floors.mjs [folder that holds src]
 *
 * dependency-cruiser reads TypeScript through the compiler's JavaScript interface, which TypeScript 7 no longer has. It
 * would then cruise nothing, find nothing wrong and say so in green. Hence the last compiler that has the interface is
 * installed beside ours and handed to it here, and a run that saw fewer files than there are is a failure.
 */
import { readdirSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

registerHooks({
  resolve(specifier, context, next) {
    const wanted = /^typescript(?=$|\/)/.test(specifier);
    return next(wanted ? specifier.replace('typescript', 'typescript-6') : specifier, context);
  },
});

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const root = path.resolve(process.argv[2] ?? home);
process.chdir(root);

const { cruise } = await import('dependency-cruiser');
const { default: extractOptions } = await import('dependency-cruiser/config-utl/extract-depcruise-options');
const options = await extractOptions(path.join(home, '.dependency-cruiser.cjs'));
const { output } = await cruise(['src'], { ...options, tsConfig: undefined });
const { violations } = output.summary;

const comments = new Map(options.ruleSet.forbidden.map((rule) => [rule.name, rule.comment]));
for (const { rule, from, to, cycle } of violations) {
  const comment = comments.get(rule.name);
  const way = cycle === undefined ? to : cycle.map((step) => step.name).join(' -> ');
  process.stdout.write(`${rule.severity} ${rule.name}: ${from} -> ${way}${comment ? ` (${comment})` : ''}\n`);
}
const files = readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ts'));
const seen = new Set(output.modules.map((module) => module.source));
const unseen = files.map((name) => path.posix.join('src', name)).filter((name) => !seen.has(name));
for (const name of unseen) process.stdout.write(`error not-cruised: ${name} was not looked at\n`);
process.stdout.write(
  `floors: ${files.length - unseen.length} of ${files.length} files, ${violations.length} rules broken\n`,
);
process.exitCode = violations.length + unseen.length === 0 && files.length > 0 ? 0 : 1;
