/** Did the system say that there is no such file or directory? Any other reason, such as a missing right or a failing disk, says nothing of whether there is one. */
export function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
