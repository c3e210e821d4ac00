// The floors of the house (docs/ARCHITECTURE.md): a module imports only from floors below its own.
const floors = [
  ['model', 'vault', 'ledger'],
  ['store', 'search', 'policy'],
  ['access', 'jobs'],
  ['archive'],
  ['capture', 'evidence', 'supervise', 'audit'],
  ['alerts'],
  ['api'],
  ['demo'],
  ['cli'],
];

const floorRules = floors.flatMap((modules, height) => {
  const upward = floors.slice(height + 1).flat();
  return modules.map((module) => {
    // On one floor no module leans on its neighbour, but for model, which is the vocabulary of all.
    const neighbours = modules.filter((other) => other !== module && !(height === 0 && module !== 'ledger' && other === 'model'));
    return {
      name: `floor-${module}`,
      comment: `${module}/ stands on floor ${height} and may import only from floors below it`,
      severity: 'error',
      from: { path: `^src/${module}/`, pathNot: '\\.test\\.ts$' },
      to: { path: `^src/(${[...upward, ...neighbours].join('|')})/` },
    };
  });
});

module.exports = {
  forbidden: [
    ...floorRules,
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'model-is-pure',
      comment: 'model/ holds types and pure functions: no I/O',
      severity: 'error',
      from: { path: '^src/model/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer|util|assert)$' },
    },
    {
      name: 'sql-stays-in-store',
      comment: 'database drivers are known only to store/ and the index in search/',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(store|search)/|^src/vault/page-encryption.ts' },
      to: { path: 'node_modules/(better-sqlite3|better-sqlite3-multiple-ciphers|kysely|pg)/' },
    },
    {
      name: 'engines-behind-one-door',
      comment: 'an engine is opened through store/engine.ts, so that a second one is one folder',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/store/(sqlite/|engine\\.ts$)' },
      // A copy for a backup is a pair of SQLite files, whatever engine it comes from.
      to: { path: '^src/store/sqlite/', pathNot: '^src/store/sqlite/copy-rows\\.ts$' },
    },
    {
      name: 'the-other-engine-behind-the-same-door',
      comment: 'an engine is opened through store/engine.ts',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/store/(postgres/|engine\\.ts$)' },
      to: { path: '^src/store/postgres/' },
    },
    {
      name: 'blobs-behind-one-door',
      comment: 'an S3 server is reached through store/blob-engine.ts, and its client is loaded only where it is used',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/store/(s3/|blob-engine\\.ts$)|/testing/' },
      to: { path: '^src/store/s3/|node_modules/@aws-sdk/' },
    },
    {
      name: 'no-test-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$|/testing/' },
      to: { path: '\\.test\\.ts$|/testing/|^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '^dist/' },
  },
};
