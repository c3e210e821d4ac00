/** Keeps a bounded number of files open; the least recently used is closed first. */

/** Open handles by name. */
export type Handles<T> = {
  /** The handle of a name, opened if need be. */
  get(name: string): T;
  /** Handles that are open now, least recently used first. */
  values(): Iterable<T>;
  /** Closes one, if it is open. */
  release(name: string): void;
  close(): void;
};

/**
 * @param openMax handles at a time, at least 1
 */
export function makeHandles<T>(openMax: number, open: (name: string) => T, shut: (handle: T) => void): Handles<T> {
  const handles = new Map<string, T>();
  const release = (name: string) => {
    const handle = handles.get(name);
    if (handle === undefined) return;
    handles.delete(name);
    shut(handle);
  };
  return {
    get(name) {
      let handle = handles.get(name);
      if (handle === undefined) {
        while (handles.size >= Math.max(1, openMax)) {
          const [oldest] = handles.keys();
          if (oldest === undefined) break;
          release(oldest);
        }
        handle = open(name);
      } else {
        handles.delete(name);
      }
      handles.set(name, handle);
      return handle;
    },
    values: () => handles.values(),
    release,
    close() {
      for (const name of handles.keys()) release(name);
    },
  };
}
