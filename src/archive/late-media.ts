/**
 * Media that are stored while a backup is made. A medium has its file before its record is committed, and the records of a backup are those of one moment: files that only later
 * records name are no part of it, and would be taken for what somebody has put there.
 */
export type LateMedia = {
  /** A medium is about to have its name. */
  begun(name: string): void;
  /** Its record stands at `seq`; undefined where it was not kept, and the file is gone. */
  ended(name: string, seq: number | undefined): void;
  /** Keeps what comes from now on in mind, until it is ended. */
  watch(): MediaWatch;
};

export type MediaWatch = {
  /** Of the media that are there now: those that no record below `size` names. */
  after(size: number): ReadonlySet<string>;
  end(): void;
};

export function createLateMedia(): LateMedia {
  const underWay = new Set<string>();
  const watches = new Set<Map<string, number>>();
  return {
    begun: (name) => void underWay.add(name),
    ended(name, seq) {
      underWay.delete(name);
      if (seq !== undefined) for (const seen of watches) seen.set(name, seq);
    },
    watch() {
      const seen = new Map<string, number>();
      watches.add(seen);
      return {
        after: (size) => new Set([...underWay, ...[...seen].flatMap(([name, seq]) => (seq >= size ? [name] : []))]),
        end: () => void watches.delete(seen),
      };
    },
  };
}
