/** What one node of an archive does for all: which one that is, and alerts, whose state lives in it. */
import type { Alerts } from '../alerts/alerts.ts';
import type { Archive } from '../archive/archive.ts';
import { CartularyError } from '../model/errors.ts';

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
    const leads = mayLead && (await archive.leads());
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
      await alerts.refresh();
      return alerts;
    },
  };
}

async function nameLead(archive: Archive): Promise<string> {
  const lead = (await archive.listNodes()).find(({ leads, isThis }) => leads && !isThis);
  return lead === undefined ? 'see "cartulary nodes"' : `ask ${lead.name} at ${lead.url}`;
}
