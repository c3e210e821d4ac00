/** How a node is: what its machine has left, what waits on it, and what is wrong there. Told to the other nodes, sealed; numbers, times and ids, never content. */
import { z } from 'zod';

/** Things that are wrong on one node at once, at most. */
export const NODE_FINDINGS_MAX = 100;

/** Its shape. Another version of the program may know further codes. */
export const nodeConditionSchema = z.object({
  /** Bytes that are free on the disk of its data directory. */
  diskFreeBytes: z.number(),
  /** Bytes of memory that it may still take. */
  memoryFreeBytes: z.number(),
  /** What was acknowledged there and is not filed yet, where the records are on another machine. */
  spool: z
    .object({
      envelopes: z.number(),
      bytes: z.number(),
      bytesMax: z.number(),
      /** When the oldest came, ms since 1970 by its own clock. */
      oldestMs: z.number().exactOptional(),
      damaged: z.number(),
    })
    .exactOptional(),
  /** What a person must know of it, as `alerts/` finds it. */
  findings: z
    .array(
      z.object({
        code: z.string(),
        subject: z.string().exactOptional(),
        facts: z.record(z.string(), z.union([z.string(), z.number()])),
      }),
    )
    .max(NODE_FINDINGS_MAX),
});

/** How a node is. */
export type NodeCondition = z.output<typeof nodeConditionSchema>;
