/** Imports the modules named as arguments, so that they and all they import are compiled; see compile-ahead.mjs. */
for (const file of process.argv.slice(2)) {
  // A thread's module finds out here that it is in no thread, and says so; by then it is compiled.
  await import(file).catch(() => undefined);
}
process.exit();
