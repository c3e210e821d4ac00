import { expect, it } from 'vitest';

import { CONVERSATIONS } from './conversations.ts';
import { slotsOf } from './slots.ts';

it('every slot of a conversation is filled, in words of its own country', () => {
  const english = slotsOf('US');
  const wrong: string[] = [];
  for (const { country, lines } of CONVERSATIONS) {
    const slots = slotsOf(country);
    for (const [, text] of lines) {
      for (const [, slot = ''] of text.matchAll(/\{(\w+)\}/g)) {
        if (slot === 'name' || slot === 'order') continue;
        const isForeign = !['US', 'GB'].includes(country) && !slot.startsWith('size') && slots[slot] === english[slot];
        if (slots[slot] === undefined || isForeign) wrong.push(`${country}: ${text}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
