/** What a process of the product may hold of memory; settled before it begins, because it cannot be later. */

/**
 * A young generation that does not grow beyond what is left of it anyway: records live for milliseconds. It is collected by the thread it belongs to: helpers for each of
 * a dozen threads wait for each other on two cores (17 µs of processor time a message). The bound of the old generation is far above what the main thread holds; it is there
 * because V8 lets a heap without one grow to four times what lives in it before it collects, and with this one to 1.6 times (90 MB less after an export).
 */
export const NODE_FLAGS = ['--max-semi-space-size=8', '--max-old-space-size=1024', '--no-parallel-scavenge'];

/** Two arenas of the allocator (mallopt(3)): with one for each thread, what one allocates and another frees stays with the first. */
export const ENVIRONMENT = { MALLOC_ARENA_MAX: '2' };
