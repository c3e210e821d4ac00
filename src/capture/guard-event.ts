/**
 * Guard on an event whose text did not come out of a guarded envelope: every text a person may have written, never ids or addresses.
 */
import type { Body, Event, Part } from '../model/event.ts';
import { guardText } from './guard/guard.ts';
import type { GuardOptions } from './guard/guard.ts';

/** The same event with card data taken out of its texts. */
export function guardEvent(event: Event, options: GuardOptions): Event {
  const clean = (text: string): string => guardText(text, options).text;
  const extra = event.extra === undefined ? {} : { extra: guardValue(event.extra, clean) as Record<string, unknown> };
  if (event.kind === 'message.created') {
    const { content } = event;
    return {
      ...event,
      ...extra,
      content: {
        ...content,
        ...(content.body === undefined ? {} : { body: guardBody(content.body, clean) }),
        parts: content.parts.map((part) => guardPart(part, clean)),
        ...(content.relations?.quotedText === undefined
          ? {}
          : { relations: { ...content.relations, quotedText: clean(content.relations.quotedText) } }),
      },
    };
  }
  if (event.kind === 'message.edited') {
    return {
      ...event,
      ...extra,
      ...(event.body === undefined ? {} : { body: guardBody(event.body, clean) }),
      ...(event.parts === undefined ? {} : { parts: event.parts.map((part) => guardPart(part, clean)) }),
    };
  }
  if (event.kind === 'consent.changed' && event.words !== undefined)
    return { ...event, ...extra, words: clean(event.words) };
  return { ...event, ...extra };
}

function guardBody(body: Body, clean: (text: string) => string): Body {
  return {
    ...body,
    text: clean(body.text),
    ...(body.subject === undefined ? {} : { subject: clean(body.subject) }),
    ...(body.entities === undefined ? {} : { entities: guardValue(body.entities, clean) as Body['entities'] & {} }),
  };
}

function guardPart(part: Part, clean: (text: string) => string): Part {
  if (part.kind === 'media') {
    return {
      ...part,
      ...(part.caption === undefined ? {} : { caption: clean(part.caption) }),
      ...(part.fileName === undefined ? {} : { fileName: clean(part.fileName) }),
    };
  }
  return guardValue(part, clean) as Part;
}

function guardValue(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === 'string') return clean(value);
  if (Array.isArray(value)) return value.map((item) => guardValue(item, clean));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, guardValue(inner, clean)]));
}
