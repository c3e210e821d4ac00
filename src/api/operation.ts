/**
 * What the command line can ask of a running archive, by name: the same table whether the command opens the data directory itself or talks to the process that
 * holds it over the local socket.
 */
import { userInfo } from 'node:os';

import type { z } from 'zod';

import type { Caller } from '../archive/caller.ts';
import { checkShape } from '../model/check-shape.ts';
import { CartularyError } from '../model/errors.ts';
import { describeIssue } from './problem.ts';
import type { Face, Service } from './service.ts';

/** What an operation may do besides answering. */
export type OperationContext = {
  readonly service: Service;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly progress: (progress: { readonly done: number; readonly total: number; readonly what?: string }) => void;
};

/** An operation: its arguments are checked on whichever side runs it. */
export type Operation = {
  readonly name: string;
  readonly run: (args: unknown, context: OperationContext) => Promise<unknown>;
  /** What it does where the archive is not open; without it, it says why it is not. */
  readonly runClosed?: (args: unknown, face: Face) => Promise<unknown>;
};

/** Defines an operation. @param runClosed what it does where the archive is not open */
export function defineOperation<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  run: (args: z.output<Schema>, context: OperationContext) => Promise<unknown>,
  runClosed?: (args: z.output<Schema>, face: Face) => Promise<unknown>,
): Operation {
  const check = (args: unknown): z.output<Schema> => {
    const parsed = checkShape(schema, args);
    if (parsed.success) return parsed.data;
    const { field, message } = describeIssue(parsed.error);
    throw new CartularyError('bad-input', message, { cause: parsed.error, detail: { field } });
  };
  return {
    name,
    run: async (args, context) => run(check(args), context),
    ...(runClosed === undefined ? {} : { runClosed: async (args, face) => runClosed(check(args), face) }),
  };
}

/** The context of a command run by somebody on this machine. */
export function localContext(
  service: Service,
  signal: AbortSignal,
  progress: OperationContext['progress'],
): OperationContext {
  return { service, caller: { kind: 'local', user: nameOfUser() }, signal, progress };
}

/** A container may run under a number that its machine has no name for. */
function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}
