/** A client of the archive, as a process of its own with a journal of its own. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROCESS = fileURLToPath(new URL('client-process.ts', import.meta.url));

/** What a client is told at its start. */
export type ClientSetup = {
  /** Lower-case letters and digits. */
  readonly client: string;
  readonly hookUrl: string;
  /** Directory of the journal, on another file system than the archive. */
  readonly journal: string;
  readonly seed: number;
  readonly connections: number;
  /** Share of sendings that are of messages acknowledged before. */
  readonly againShare: number;
  /** Share of unacknowledged messages that are never sent again. */
  readonly giveUpShare: number;
  /** New messages a second at most; as fast as it goes where absent. */
  readonly perSecond?: number;
  /** Number of its first message, where it goes on with a journal. */
  readonly firstN?: number;
};

/** What a client has done so far. */
export type ClientCounts = {
  sent: number;
  acked: number;
  refused: number;
  unknown: number;
  again: number;
  givenUp: number;
  /** Messages that wait to be sent again. */
  waiting: number;
};

/** `go` sends; `drain` sends nothing new, and answers when nothing waits to be sent again; `pause` answers when nothing is under way. */
export type ClientOrder = 'go' | 'drain' | 'pause' | 'stop' | 'counts';

export type Client = {
  /** Gives an order; answers, once it is carried out, what was done so far. */
  tell(order: ClientOrder): Promise<ClientCounts>;
};

/** Milliseconds after which a client that does not answer hangs. */
const ORDER_MS_MAX = 120_000;

/** Starts a client; it sends nothing until it is told to. Ends with this process at the latest. */
export async function startClient(
  setup: Pick<ClientSetup, 'client' | 'hookUrl' | 'journal' | 'seed'> & Partial<ClientSetup>,
): Promise<Client> {
  const whole: ClientSetup = { connections: 16, againShare: 0.02, giveUpShare: 0.05, ...setup };
  const child = fork(PROCESS, [JSON.stringify(whole)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, { resolve(counts: ClientCounts): void; reject(cause: Error): void }>();
  let nextId = 1;
  child.on('message', (message) => {
    const { id, counts } = message as { id: number; counts: ClientCounts };
    waiting.get(id)?.resolve(counts);
    waiting.delete(id);
  });
  child.on('exit', (code) => {
    for (const waiter of waiting.values()) waiter.reject(new Error(`client ${setup.client} ended with ${code}`));
  });
  const answerOf = (id: number): Promise<ClientCounts> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`client ${setup.client} does not answer`)), ORDER_MS_MAX);
      waiting.set(id, {
        resolve: (counts) => (clearTimeout(timer), resolve(counts)),
        reject: (cause) => (clearTimeout(timer), reject(cause)),
      });
    });
  await answerOf(0);
  return {
    tell(order) {
      const id = nextId++;
      const answer = answerOf(id);
      child.send({ id, order });
      return answer;
    },
  };
}
