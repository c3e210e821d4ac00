/**
 * Hostile input: bytes and texts that begin as valid samples and are flipped, cut, spliced, repeated, blown up and salted with what has broken parsers before. Deterministic:
 * fast-check's seed decides all of it.
 */
import * as fc from 'fast-check';

/** What has broken parsers before: huge numbers, deep nesting, names of prototypes, odd Unicode, lone surrogates. */
const TOKENS: readonly string[] = [
  '\0',
  '\ud800',
  '\udc00',
  '\\ud800',
  '\\u0000',
  '\ufeff',
  '\u202e',
  '\u2028',
  'e\u0301\u0301\u0301',
  '👩‍👩‍👧',
  'İı',
  '%00',
  '%',
  '%zz',
  '%ed%a0%80',
  '__proto__',
  '"__proto__":{"polluted":1},',
  'constructor',
  'toString',
  '9'.repeat(400),
  '-1',
  '1e400',
  '9007199254740993',
  '18446744073709551615',
  '4294967296',
  '0x10',
  '00',
  'NaN',
  'null',
  '['.repeat(300),
  '{"a":'.repeat(100),
  '('.repeat(60),
  '<a>'.repeat(40),
  '&amp;',
  '&#xD800;',
  '<!DOCTYPE x [<!ENTITY a "b">]>',
  '<![CDATA[',
  ']]>',
  '"',
  "'",
  '\\',
  '\n',
  '\r\n',
  '\n\n',
  ' ',
  ',',
  ':',
  '=',
  '&',
  '~',
  '*',
  '..',
  '../',
  '+',
  '—',
  'A'.repeat(2000),
];

type Mutation =
  | { readonly how: 'flip'; readonly at: number; readonly bits: number }
  | { readonly how: 'cut'; readonly at: number }
  | { readonly how: 'remove' | 'repeat'; readonly at: number; readonly length: number }
  | { readonly how: 'splice'; readonly at: number; readonly from: number; readonly other: number }
  | { readonly how: 'insert'; readonly at: number; readonly token: number }
  | { readonly how: 'number'; readonly at: number; readonly token: number };

const place = fc.nat(0xffff);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ how: fc.constant('flip' as const), at: place, bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ how: fc.constant('cut' as const), at: place }),
  fc.record({ how: fc.constantFrom('remove' as const, 'repeat' as const), at: place, length: fc.nat(200) }),
  fc.record({ how: fc.constant('splice' as const), at: place, from: place, other: place }),
  fc.record({ how: fc.constant('insert' as const), at: place, token: fc.nat(TOKENS.length - 1) }),
  fc.record({ how: fc.constant('number' as const), at: place, token: fc.nat(TOKENS.length - 1) }),
);
const mutations = fc.array(mutation, { minLength: 0, maxLength: 4 });
const NUMBERS = ['0', '-1', '1e400', '9007199254740993', '18446744073709551616', '9'.repeat(400), '4294967295', '0.1'];

function mutate(sample: string, change: Mutation, samples: readonly string[], tokens: readonly string[]): string {
  const at = change.at % (sample.length + 1);
  switch (change.how) {
    case 'flip':
      if (at === sample.length) return sample;
      return sample.slice(0, at) + String.fromCharCode(sample.charCodeAt(at) ^ change.bits) + sample.slice(at + 1);
    case 'cut':
      return sample.slice(0, at);
    case 'remove':
      return sample.slice(0, at) + sample.slice(at + change.length);
    case 'repeat':
      return sample.slice(0, at + change.length) + sample.slice(at);
    case 'splice': {
      const other = samples[change.other % samples.length] ?? '';
      return sample.slice(0, at) + other.slice(change.from % (other.length + 1));
    }
    case 'insert':
      return sample.slice(0, at) + (tokens[change.token] ?? '') + sample.slice(at);
    case 'number': {
      const rest = sample.slice(at);
      return sample.slice(0, at) + rest.replace(/\d+/, NUMBERS[change.token % NUMBERS.length] ?? '0');
    }
  }
}

function mutatedOf(samples: readonly string[], tokens: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(samples.length - 1), mutations)
    .map(([index, changes]) =>
      changes.reduce((text, change) => mutate(text, change, samples, tokens), samples[index] ?? ''),
    );
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(fc.constantFrom(...TOKENS), { maxLength: 5 }).map((tokens) => tokens.join('')),
  fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
);

/** Texts: mutated samples mostly, some that were never valid. */
export function hostileText(samples: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 6, arbitrary: mutatedOf(samples, TOKENS) }, { weight: 1, arbitrary: anyText });
}

const BYTE_TOKENS = TOKENS.map((token) => Buffer.from(token, 'utf8').toString('latin1'));

/** Bytes: mutated samples mostly, some that were never valid. */
export function hostileBytes(samples: readonly (Uint8Array | string)[]): fc.Arbitrary<Uint8Array> {
  const latin1 = samples.map((sample) => Buffer.from(sample as Uint8Array).toString('latin1'));
  return fc.oneof(
    {
      weight: 6,
      arbitrary: mutatedOf(latin1, BYTE_TOKENS).map((text) => Uint8Array.from(Buffer.from(text, 'latin1'))),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  );
}

/** Values that stand in a JSON text where another was expected. */
const oddValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e21,
  9007199254740992,
  0.5,
  '',
  '\ud800',
  '\0',
  '__proto__',
  'constructor',
  '9'.repeat(400),
  'A'.repeat(3000),
  '2026-13-45T99:99:99Z',
  '9999-12-31T23:59:59-12:00',
  [],
  {},
  [[[[[[[[[[]]]]]]]]]],
  JSON.parse('{"__proto__":{"polluted":1}}') as unknown,
  { toString: 1, valueOf: 2, length: -1 },
  { length: { toString: 1, valueOf: 2 } },
];

/** JSON whose structure is kept but for some values or members that are others, doubled, renamed or gone; then as text. */
export function hostileJson(samples: readonly unknown[]): fc.Arbitrary<string> {
  const change = fc.record({ at: place, how: fc.nat(4), odd: fc.nat(oddValues.length - 1) });
  return fc
    .tuple(fc.nat(samples.length - 1), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([index, changes]) => {
      const root = { root: structuredClone(samples[index]) };
      for (const { at, how, odd } of changes) changeNode(root, at, how, oddValues[odd]);
      return JSON.stringify(root.root) ?? 'null';
    });
}

type Slot = { readonly holder: Record<string, unknown>; readonly name: string };

function slotsOf(value: unknown, slots: Slot[] = []): Slot[] {
  if (typeof value !== 'object' || value === null) return slots;
  for (const name of Object.keys(value)) {
    slots.push({ holder: value as Record<string, unknown>, name });
    slotsOf((value as Record<string, unknown>)[name], slots);
  }
  return slots;
}

function changeNode(root: object, at: number, how: number, odd: unknown): void {
  const slots = slotsOf(root);
  const slot = slots[at % slots.length];
  if (slot === undefined) return;
  const { holder, name } = slot;
  if (how === 0 && holder !== root) delete holder[name];
  else if (how === 1 && Array.isArray(holder)) holder.push(...(holder as unknown[]));
  else if (how === 1) holder[`${name}x`] = holder[name];
  else if (how === 2 && typeof holder[name] === 'string') holder[name] += typeof odd === 'string' ? odd : ' ';
  else holder[name] = structuredClone(odd);
}

/** A form whose pairs are changed one by one. */
export function hostileForm(samples: readonly Readonly<Record<string, string>>[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: place, how: fc.nat(3), odd: fc.nat(TOKENS.length - 1) });
  const pairs = fc.tuple(fc.nat(samples.length - 1), fc.array(change, { maxLength: 3 })).map(([index, changes]) => {
    const list = Object.entries(samples[index] ?? {});
    for (const { at, how, odd } of changes) {
      const token = TOKENS[odd] ?? '';
      const slot = at % list.length;
      const [name, value] = list[slot] ?? ['', ''];
      if (how === 0) list.splice(slot, 1, [name, token]);
      else if (how === 1) list.splice(slot, 1, [name, value + token]);
      else if (how === 2 && list.length > 1) list.splice(slot, 1);
      else list.push([name, token]);
    }
    return Uint8Array.from(Buffer.from(new URLSearchParams(list).toString()));
  });
  const texts = samples.map((sample) => new URLSearchParams(sample).toString());
  return fc.oneof({ weight: 2, arbitrary: pairs }, { weight: 1, arbitrary: hostileBytes(texts) });
}
