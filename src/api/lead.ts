/** What one node of an archive does for all: which one that is, and alerts, whose state lives in it. */
import type { Alerts } from '../alerts/alerts.ts';
import { within } from '../jobs/within.ts';
import type { Archive } from '../archive/archive.ts';
import { CartularyError, isDatabaseAway } from '../model/errors.ts';

/** Milliseconds that the database may take to say who leads. */
const ASK_MS_MAX = 5000;

/** The lead among the nodes of an archive, as one of them sees it. */
export type Lead = {
  /** Was it this node when it last asked? */
  isHere(): boolean;
  /** Does something where this node has the lead, which it takes where no other has it. */
  run(act: () => Promise<void>): Promise<void>;
  /**
   * Alerts as they are now.
   * @param use `changing`: only the node that gives them can
   * @throws CartularyError `conflict` with the node that can
   */
  alertsFor(use: 'reading' | 'changing'): Promise<Alerts>;
};

/** @param mayLead does this node do what goes on by itself? */
export function createLead(archive: Archive, alerts: Alerts, mayLead: boolean): Lead {
  let isHere = archive.node === undefined;
  const ask = async (): Promise<boolean> => {
    // While the database is away the last to lead goes on: that it is away is what people must be told.
    const leads = mayLead && (await within(ASK_MS_MAX, archive.leads().catch(elseWhereAway(isHere)), isHere));
    // What another node has noted meanwhile comes before anything is done about it.
    if (leads && !isHere) await alerts.refresh();
    isHere = leads;
    return leads;
  };
  return {
    isHere: () => isHere,
    async run(act) {
      if (await ask()) await act();
    },
    async alertsFor(use) {
      if (await ask()) return alerts;
      if (use === 'changing')
        throw new CartularyError('conflict', `another node gives the alerts: ${await nameLead(archive)}`);
      await alerts.refresh().catch(elseWhereAway(undefined));
      return alerts;
    },
  };
}

function elseWhereAway<Value>(value: Value): (cause: unknown) => Value {
  return (cause) => {
    if (!isDatabaseAway(cause)) throw cause;
    return value;
  };
}

async function nameLead(archive: Archive): Promise<string> {
  const lead = (await archive.listNodes()).find(({ leads, isThis }) => leads && !isThis);
  return lead === undefined ? 'see "cartulary nodes"' : `ask ${lead.name} at ${lead.url}`;
}
