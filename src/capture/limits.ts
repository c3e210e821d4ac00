/** What may grow, and how far. A limit reached is an error that names the limit. */
export const LIMITS = {
  /** A webhook's body, also after it was unpacked. */
  hookBodyBytesMax: 10 * 1024 * 1024,
  /** Records that one envelope may become. */
  eventsPerEnvelopeMax: 5000,
  /** Headers kept with an envelope. */
  headersMax: 100,
  headerCharsMax: 16 * 1024,
  /** Envelopes of bad signature kept for each source, and what they may take altogether. */
  ringEnvelopesMax: 500,
  ringBytesMax: 32 * 1024 * 1024,
  /** Envelopes of bad signature with card data in them, kept in memory only, for each source. */
  ringVolatileMax: 50,
  ringVolatileBytesMax: 12 * 1024 * 1024,
  /** Body bytes up to which an envelope of bad signature is looked at closely; of larger ones a quick look decides. */
  ringGuardBytesMax: 8 * 1024,
  /** Envelopes of bad signature written to the ring a second and source, and their bytes; above it they are only counted. */
  ringPerSecondMax: 20,
  ringBytesPerSecondMax: 4 * 1024 * 1024,
  /** What may wait on a node while the database is away, and how much of it in one file. */
  spoolBytesMax: 1024 * 1024 * 1024,
  spoolFileBytesMax: 8 * 1024 * 1024,
  /** Milliseconds after which an inline source goes on without us. */
  inlineWaitMs: 300,
  /** Milliseconds the shop's own handler is given in tee mode. */
  teeTimeoutMs: 14_000,
  teeAnswerBytesMax: 1024 * 1024,
} as const;
