/** Everything that needs an S3 server, in one file, so that the server is started once. */
import { afterAll, beforeAll, describe, it } from 'vitest';

import { startS3, whyNoS3 } from '../../../test/support/s3.ts';
import type { TestS3 } from '../../../test/support/s3.ts';
import { describeBlobsInS3 } from '../testing/s3-blobs.ts';
import { describeS3Lock } from '../testing/s3-lock.ts';
import { describeObjects } from '../testing/object-conformance.ts';
import { describeS3Faults } from '../testing/s3-faults.ts';
import { openS3Place } from './objects.ts';

const missing = whyNoS3();

describe.skipIf(missing !== undefined)('S3', () => {
  let server: TestS3;
  const getServer = (): TestS3 => server;
  beforeAll(async () => {
    server = await startS3();
  }, 120_000);
  afterAll(() => server.stop());

  describeBlobsInS3(getServer, 'lock');
  describeBlobsInS3(getServer, 'plain');
  describeObjects('a bucket', async () => openS3Place(await server.newPlace('versions')), 9_000_000);
  describeS3Lock(getServer);
  describeS3Faults(getServer);
});

it.skipIf(missing === undefined)(`S3 is not tested: ${missing}`, () => undefined);
