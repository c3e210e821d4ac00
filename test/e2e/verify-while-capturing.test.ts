import { expect, it } from 'vitest';

import { LOCAL_CALLER, openTestService } from '../support/service.ts';

// The records were counted first and the signer's memory read last: what was signed in between looked like a tail that had been cut off.
it('verify finds nothing wrong with an archive that goes on growing and being signed', async () => {
  const place = await openTestService('verify-growing');
  const { archive } = place.service;
  try {
    const verified = new AbortController();
    let signed = 0;
    const growing = (async () => {
      while (!verified.signal.aborted) {
        await archive.audit(LOCAL_CALLER, { action: 'test', outcome: 'allowed', detail: {} });
        await archive.publish();
        signed += 1;
      }
    })();
    const faults: unknown[] = [];
    for (let round = 0; round < 2; round += 1) faults.push(...(await archive.verify(LOCAL_CALLER, {})).faults);
    verified.abort();
    await growing;
    expect(faults).toEqual([]);
    expect(signed).toBeGreaterThan(2);
  } finally {
    await place.close();
  }
});
