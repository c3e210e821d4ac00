/**
 * Ends with 0 while the server in this container answers that it is ready, else with 1. For engines that run a command; those that ask over HTTP
 * ask /readyz themselves. The certificate is the container's own, for a name that is not this one, so it is not looked at.
 */
import http from 'node:http';
import https from 'node:https';

const { CARTULARY_LISTEN = '127.0.0.1:8787', CARTULARY_TLS_CERT } = process.env;
const port = CARTULARY_LISTEN.slice(CARTULARY_LISTEN.lastIndexOf(':') + 1);
const request = (CARTULARY_TLS_CERT === undefined ? http : https).get({
  host: '127.0.0.1',
  port,
  path: '/readyz',
  rejectUnauthorized: false,
  timeout: 4000,
});
request.on('response', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1));
request.on('timeout', () => process.exit(1));
request.on('error', () => process.exit(1));
