/** Hands on what comes to an address to the same port of loopback, in whatever network it is started in; ends when whoever started it does. */
import { startBalancer } from './balancer.ts';

const [host = '', port = ''] = process.argv.slice(2);
await startBalancer(Number(port), [Number(port)], host);
process.stdout.write('listening\n');
process.stdin.on('close', () => process.exit()).resume();
