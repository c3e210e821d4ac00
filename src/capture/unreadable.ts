/** An envelope that a connector cannot read; the text never quotes it. */
export class UnreadableEnvelope extends Error {
  readonly reason: string;

  constructor(reason: string, options: { cause?: unknown } = {}) {
    super(`the envelope cannot be read: ${reason}`, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'UnreadableEnvelope';
    this.reason = reason;
  }
}
