/** Runs the tests of a file on PostgreSQL: what they start takes its database from the environment. */
import { inject } from 'vitest';

process.env['CARTULARY_DATABASE'] = inject('database');
