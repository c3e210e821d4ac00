/** The seed that runs are repeated with: moments of faults, sequences and choices of the clients follow from it. */
export const DEFAULT_SEED = 20_261_127;
