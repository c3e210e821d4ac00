import * as fc from 'fast-check';
import twilio from 'twilio';
import { expect, it } from 'vitest';

import { signForm } from './sign-form.ts';

it('signs as the platform does', () => {
  const url = 'https://archive.example/hooks/src_1';
  const fields = fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme' }));
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fields, (token, form) => {
      expect(signForm(token, url, form)).toBe(twilio.getExpectedTwilioSignature(token, url, form));
    }),
  );
});
