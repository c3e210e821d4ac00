/** A process that opens a data directory, does what is due in it, and ends; to be killed meanwhile. `work-jobs.ts DATA PORT`: the port is that of a local platform. */
import { workJobs } from '../../src/capture/work.ts';
import { openData } from './whole-archive.ts';

const [data = '', port = ''] = process.argv.slice(2);
const service = await openData(data, { allowPrivate: [{ host: '127.0.0.1', port: Number(port) }] });
await workJobs(service.work);
await service.close();
