/**
 * The OpenAPI 3.1 description, made of the schemas that validate. What is not in the table of routes is not described, and what is described is served.
 */
import { z } from 'zod';

import { SCOPES } from '../access/api-keys.ts';
import { standardEventsJsonSchema } from '../capture/connectors/standard-webhooks-schema.ts';
import { ERRORS } from '../model/errors.ts';
import { problemSchema } from './problem.ts';
import type { Route } from './route.ts';

type JsonSchema = Record<string, unknown>;
/** Schemas that have a name stand once, under `components`. */
type Components = Record<string, JsonSchema>;

const TAGS = {
  records: 'Ways in: events from programs, webhooks from platforms.',
  messages: 'Searching, counting and opening what was kept.',
  alerts: 'What a person must know of, and who sees to it.',
  log: 'The public log, under the paths of C2SP tlog-tiles.',
  about: 'What this server is and how it is.',
} as const;

/** Builds the description. */
export function describeApi(routes: readonly Route[], version: string): Record<string, unknown> {
  const components: Components = {};
  toSchema(problemSchema, 'output', components);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = describeRoute(route, components);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cartulary',
      version,
      description: `Archive of a shop's text messages. Errors are RFC 9457 problem details; \`type\` is \`/problems/\` and one of these codes: ${Object.keys(ERRORS).join(', ')}.`,
      license: { name: 'AGPL-3.0-or-later', identifier: 'AGPL-3.0-or-later' },
    },
    servers: [{ url: '/', description: 'This server.' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ apiKey: [] }],
    paths: { ...paths, ...PUBLIC_PATHS },
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: `An API key made by "cartulary key create". Scopes: ${Object.keys(SCOPES).join(', ')}.`,
        },
      },
      schemas: components,
    },
  };
}

function describeRoute(route: Route, components: Components): Record<string, unknown> {
  const { schemas, response } = route;
  const contentType = response.contentType ?? 'application/json';
  const schema =
    response.schema === undefined
      ? { type: 'string', format: 'binary' }
      : toSchema(response.schema, 'output', components);
  return {
    summary: route.summary,
    description: `Needs the scope \`${route.scope}\`. Example: ${route.example}`,
    operationId: operationId(route),
    tags: [route.tag],
    parameters: [
      ...describeParameters(schemas.params, 'path', components),
      ...describeParameters(schemas.query, 'query', components),
    ],
    // A body is kept as the bytes it came in; what is in it is held against the schema of events.
    ...(schemas.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: liftDefinitions(standardEventsJsonSchema(), components) } },
          },
        }),
    responses: { '200': describeAnswer(response.description, contentType, schema), ...PROBLEMS },
  };
}

const PROBLEMS = {
  '4XX': describeAnswer('The request cannot be served; `hint` says what to do.', 'application/problem+json', {
    $ref: '#/components/schemas/Problem',
  }),
  '5XX': describeAnswer(
    'It failed here, or there is too much to do: send again as Retry-After says.',
    'application/problem+json',
    { $ref: '#/components/schemas/Problem' },
  ),
} as const;

function describeAnswer(description: string, contentType: string, schema: JsonSchema): Record<string, unknown> {
  return { description, content: { [contentType]: { schema } } };
}

function operationId(route: Route): string {
  const words = route.path
    .replace('/api/v1/', '')
    .split(/[/{}]+/)
    .filter((word) => word !== '');
  return route.method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function describeParameters(
  schema: z.ZodType | undefined,
  place: 'path' | 'query',
  components: Components,
): Record<string, unknown>[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = toSchema(schema, 'input', components) as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) =>
    describeParameter(name, place, property, { description, isRequired: place === 'path' || required.includes(name) }),
  );
}

function describeParameter(
  name: string,
  place: 'path' | 'query',
  schema: JsonSchema,
  more: { readonly description?: string | undefined; readonly isRequired: boolean },
): Record<string, unknown> {
  const { description, isRequired: required } = more;
  return { name, in: place, required, ...(description === undefined ? {} : { description }), schema };
}

function toSchema(schema: z.ZodType, io: 'input' | 'output', components: Components): JsonSchema {
  return liftDefinitions(z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' }), components);
}

/** Moves what a schema defines for itself to where an OpenAPI description keeps it: within one, `#` is the whole description. */
function liftDefinitions(schema: object, components: Components): JsonSchema {
  const { $schema: _dialect, $defs, ...rest } = schema as JsonSchema;
  const lift = (value: unknown): JsonSchema =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonSchema;
  for (const [name, definition] of Object.entries($defs ?? {})) components[name] = lift(definition);
  return lift(rest);
}

/** What is served without a key, beside the table of routes. */
const PUBLIC_PATHS: Record<string, Record<string, unknown>> = {
  '/hooks/{sourceId}': {
    post: {
      ...describePublic('The way in for platforms; signed by them, answered as they expect', 'postHook', 'records'),
      parameters: [pathParameter('sourceId', 'Id of a source, as "cartulary source add" printed it.')],
      requestBody: {
        required: true,
        description: 'As the platform sends it.',
        content: { '*/*': { schema: { type: 'string', format: 'binary' } } },
      },
      responses: {
        '200': { description: 'Kept durably.' },
        ...PROBLEMS,
      },
    },
  },
  '/log/{archiveId}/checkpoint': {
    get: {
      ...describePublic('The signed head of the log (C2SP tlog-checkpoint)', 'getCheckpoint', 'log'),
      parameters: [pathParameter('archiveId', 'Id of the archive.')],
      responses: { '200': describeAnswer('A signed note.', 'text/plain', { type: 'string' }), ...PROBLEMS },
    },
  },
  '/log/{archiveId}/vkey': {
    get: {
      ...describePublic('The key that the log is verified with (C2SP signed-note)', 'getLogKey', 'log'),
      parameters: [pathParameter('archiveId', 'Id of the archive.')],
      responses: { '200': describeAnswer('A verifier key.', 'text/plain', { type: 'string' }), ...PROBLEMS },
    },
  },
  '/log/{archiveId}/tile/{level}/{tile}': {
    get: {
      ...describePublic(
        'A tile of the log (C2SP tlog-tiles); `entries` as level needs a key with the scope `log:read`',
        'getTile',
        'log',
      ),
      parameters: [
        pathParameter('archiveId', 'Id of the archive.'),
        pathParameter('level', '`0` to `7`, or `entries`.'),
        pathParameter('tile', 'Number of the tile, e.g. `000` or `x001/067.p/8`; it may hold slashes.'),
      ],
      responses: {
        '200': describeAnswer('Hashes, or entries.', 'application/octet-stream', { type: 'string', format: 'binary' }),
        ...PROBLEMS,
      },
    },
  },
  '/api/v1/openapi.json': jsonPath('This description', 'getDescription', 'An OpenAPI 3.1 document.'),
  '/api/v1/events.schema.json': jsonPath(
    'The schema of events (JSON Schema 2020-12)',
    'getEventsSchema',
    'A JSON Schema.',
  ),
  '/problems/{code}': {
    get: {
      ...describePublic('What a problem means and what to do', 'getProblem', 'about'),
      parameters: [pathParameter('code', 'The last part of the `type` of a problem.')],
      responses: { '200': describeAnswer('The entry.', 'application/json', { type: 'object' }), ...PROBLEMS },
    },
  },
  '/healthz': jsonPath('Does the process answer?', 'getHealth', 'It does.'),
  '/readyz': jsonPath('Can it take and find messages?', 'getReadiness', 'It can.'),
};

function describePublic(summary: string, id: string, tag: keyof typeof TAGS): Record<string, unknown> {
  return { summary, operationId: id, tags: [tag], security: [] };
}

function pathParameter(name: string, description: string): Record<string, unknown> {
  return describeParameter(name, 'path', { type: 'string' }, { description, isRequired: true });
}

function jsonPath(summary: string, id: string, description: string): Record<string, unknown> {
  return {
    get: {
      ...describePublic(summary, id, 'about'),
      responses: { '200': describeAnswer(description, 'application/json', { type: 'object' }), ...PROBLEMS },
    },
  };
}
