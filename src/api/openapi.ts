/**
 * The OpenAPI 3.1 description, made of the schemas that validate. What is not in the table of routes is not described, and what is described is served.
 */
import { z } from 'zod';

import { SCOPES } from '../access/api-keys.ts';
import { ERRORS } from '../model/errors.ts';
import { problemSchema } from './problem.ts';
import type { Route } from './route.ts';

/** Builds the description. */
export function describeApi(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = describeRoute(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cartulary',
      version,
      description: `Archive of a shop's text messages. Errors are RFC 9457 problem details; their codes: ${Object.keys(ERRORS).join(', ')}.`,
    },
    security: [{ apiKey: [] }],
    paths: {
      ...paths,
      '/hooks/{sourceId}': { post: describeHook() },
      '/log/{archiveId}/checkpoint': { get: describeCheckpoint() },
    },
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: `An API key made by "cartulary key create". Scopes: ${Object.keys(SCOPES).join(', ')}.`,
        },
      },
      schemas: { Problem: toSchema(problemSchema) },
    },
  };
}

function describeRoute(route: Route): Record<string, unknown> {
  const { schemas, response } = route;
  const contentType = response.contentType ?? 'application/json';
  return {
    summary: route.summary,
    description: `Needs the scope \`${route.scope}\`.${route.example === undefined ? '' : ` Example: \`GET ${route.example}\`.`}`,
    operationId: operationId(route),
    parameters: [...describeParameters(schemas.params, 'path'), ...describeParameters(schemas.query, 'query')],
    ...(schemas.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: { type: 'object' } } } } }),
    responses: {
      '200': {
        description: response.description,
        content: {
          [contentType]: {
            schema: response.schema === undefined ? { type: 'string', format: 'binary' } : toSchema(response.schema),
          },
        },
      },
      default: {
        description: 'A problem.',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function operationId(route: Route): string {
  const words = route.path
    .replace('/api/v1/', '')
    .split(/[/{}]+/)
    .filter((word) => word !== '');
  return route.method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function describeParameters(schema: z.ZodType | undefined, place: 'path' | 'query'): Record<string, unknown>[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = toSchema(schema) as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: property,
  }));
}

function toSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
  });
  return described;
}

function describeHook(): Record<string, unknown> {
  return {
    summary: 'The way in for platforms; signed by them, answered as they expect',
    security: [],
    parameters: [{ name: 'sourceId', in: 'path', required: true, schema: { type: 'string' } }],
    responses: {
      '200': { description: 'Kept durably.' },
      '403': { description: 'The signature does not fit.' },
      '503': { description: 'Busy: send again.' },
    },
  };
}

function describeCheckpoint(): Record<string, unknown> {
  return {
    summary: 'The signed head of the log (C2SP tlog-checkpoint)',
    security: [],
    parameters: [{ name: 'archiveId', in: 'path', required: true, schema: { type: 'string' } }],
    responses: { '200': { description: 'A signed note.', content: { 'text/plain': { schema: { type: 'string' } } } } },
  };
}
