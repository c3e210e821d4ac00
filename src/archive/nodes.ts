/**
 * The nodes of an archive: each says now and then that it is there, and looks for what the others have appended and changed. Only where several share an archive; one that is alone
 * knows all of it by itself.
 */
import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import { openSetting, sealSetting } from '../vault/secrets.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { nodeConditionSchema } from './node-condition.ts';

/** Milliseconds between two looks at what others have done. */
const LOOK_EVERY_MS = 200;
const PREFIX = 'node/';
/** A node that was not heard of for this long is gone for good, and no longer listed. */
const FORGOTTEN_MS = 7 * 86_400_000;

const signSchema = z.object({
  roles: z.array(z.string()),
  version: z.string(),
  url: z.string(),
  leads: z.boolean(),
  atMs: z.number(),
  /** How far its index has followed the log. */
  followed: z.number(),
  stopped: z.boolean(),
  condition: nodeConditionSchema,
});

/** What a node says of itself. */
export type NodeSign = Readonly<Omit<z.infer<typeof signSchema>, 'roles'>> & { readonly roles: readonly string[] };

/** A node as the others know it. */
export type KnownNode = NodeSign & { readonly name: string; readonly isThis: boolean };

/** Says that this node is there and how it is, or that it stops. Sealed as settings are: the database sees its name, and when. */
export function sayNode(
  { writer, node, sealer, random }: Pick<ArchiveParts, 'writer' | 'node' | 'sealer' | 'random'>,
  sign: NodeSign,
): Promise<void> {
  if (node === undefined) return Promise.resolve();
  const name = PREFIX + node;
  return writer.putSettings([{ name, value: sealSetting(sealer, name, Buffer.from(JSON.stringify(sign)), random) }]);
}

/** Nodes that were heard of lately, in the order of their names. Those that were not for long are forgotten. */
export async function listNodes({ reader, writer, sealer, node, now }: ArchiveParts): Promise<KnownNode[]> {
  const known: KnownNode[] = [];
  for (const { name, value } of await reader.listSettings(PREFIX)) {
    const sign = openSign(sealer, name, value);
    if (sign !== undefined && now() - sign.atMs < FORGOTTEN_MS)
      known.push({ name: name.slice(PREFIX.length), ...sign, isThis: name === PREFIX + String(node) });
    else await writer.putSettings([{ name, value: undefined }]);
  }
  return known;
}

function openSign(sealer: ArchiveParts['sealer'], name: string, value: Uint8Array): NodeSign | undefined {
  try {
    const parsed = checkShape(signSchema, JSON.parse(Buffer.from(openSetting(sealer, name, value)).toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Looks again and again for what other nodes have appended, and for sources and keys that were changed there. */
export function followOthers({ node, reader, registry, threads }: ArchiveParts): { stop(): Promise<void> } {
  if (node === undefined) return { stop: () => Promise.resolve() };
  const box: { stopped: boolean; timer?: NodeJS.Timeout; looking?: Promise<void> } = { stopped: false };
  const look = async (): Promise<void> => {
    try {
      threads.onGrown(await reader.size());
      await registry.refresh();
    } catch {
      // The database is away, which whoever appends is told; what was missed is seen at the next look.
    }
    if (!box.stopped) box.timer = setTimeout(start, LOOK_EVERY_MS);
  };
  const start = (): void => {
    box.looking = look();
  };
  start();
  return {
    async stop() {
      box.stopped = true;
      clearTimeout(box.timer);
      await box.looking;
    },
  };
}
