/** Who counts which months of a search. */
import type { CountShare } from '../../search/index-reader.ts';

/** Milliseconds of processor time: twice what it takes to count to the cap where hits are frequent. */
const COUNT_CPU_MS_MAX = 4;

/** The thread that also reads the page. */
export const READER_SHARE: CountShare = { part: 0, parts: 2, cpuMsMax: COUNT_CPU_MS_MAX };
/** The thread that only counts. */
export const COUNTER_SHARE: CountShare = { part: 1, parts: 2, cpuMsMax: COUNT_CPU_MS_MAX };
