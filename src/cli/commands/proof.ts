import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import { PROOF_FILE_EXTENSION } from '../../ledger/proof-file.ts';
import { runOperation, withCommonOptions } from '../context.ts';
import type { CommonOptions } from '../context.ts';
import { print, printJson } from '../output.ts';

type Proofs = { checkpoint: string; proofs: { leafIndex: number; file: string }[] };

/** `proof`: `.tlog-proof` files of a message. */
export function defineProof(command: Command): void {
  withCommonOptions(command)
    .option('--out <dir>', 'write the files here')
    .action(async (id: string, options: CommonOptions & { out?: string }) => {
      const proofs = await runOperation<Proofs>(options, 'proof', { id });
      if (options.json === true) return printJson(proofs);
      if (options.out !== undefined) await mkdir(options.out, { recursive: true });
      for (const { leafIndex, file } of proofs.proofs) {
        if (options.out === undefined) print(file);
        else {
          const path = join(options.out, `${leafIndex}${PROOF_FILE_EXTENSION}`);
          await writeFile(path, file);
          print(path);
        }
      }
    });
}
