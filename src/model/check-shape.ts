/** Checks values of strangers against a schema. */
import { z } from 'zod';

/** What a schema makes of a value, or the issues that it has with it. */
export type Checked<Output> =
  | { readonly success: true; readonly data: Output }
  | { readonly success: false; readonly error: z.ZodError };

/**
 * As `safeParse`, which throws a TypeError at an object that stands for a text of limited length and has a member `length` that cannot be compared:
 * zod 4.6.7 asks for the length of what it has already found to be no text.
 * @returns never throws at the value, whatever it is
 */
export function checkShape<Schema extends z.ZodType>(schema: Schema, value: unknown): Checked<z.output<Schema>> {
  try {
    const { success, data, error } = schema.safeParse(value);
    return success ? { success, data } : { success, error: new z.ZodError(error.issues) };
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    const message = 'a value is of another kind';
    return { success: false, error: new z.ZodError([{ code: 'custom', path: [], message, input: undefined }]) };
  }
}
