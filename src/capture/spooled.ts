/** Filing what waited in a spool, by the ordinary way. Whoever spooled it had only what guarding needs, so its signature is checked again by what the archive knows. */
import type { Archive } from '../archive/archive.ts';
import { CartularyError } from '../model/errors.ts';
import { takeEnvelope } from './receive.ts';
import type { Received } from './receive.ts';
import { verifySignature } from './signatures.ts';
import { getConnector } from './source-view.ts';
import type { SpooledEnvelope } from './spool-file.ts';

/** Why what was acknowledged stands in quarantine: it is not lost, and not believed either. */
export const DOUBTED = 'its signature, which was accepted when it came, fits no secret of its source now';

/**
 * Files an envelope that was acknowledged. Filed again it is known.
 *
 * Where guard took something out of it its signature cannot be checked any more, and what was found when it came counts.
 * @throws CartularyError `not-found` where the archive does not know its source; as `takeEnvelope`
 */
export async function fileSpooled(archive: Archive, one: SpooledEnvelope): Promise<Received> {
  const source = archive.registry.findSource(one.source);
  if (source === undefined) throw new CartularyError('not-found', 'the source of what waits is not known');
  const connector = getConnector(source);
  const { envelope, findings, id: name } = one;
  const checked =
    findings === undefined
      ? verifySignature(connector.signature, envelope, source.secrets, envelope.receivedAtMs)
      : undefined;
  const verdict = checked?.ok === true ? checked.verdict : one.verdict;
  const doubt = checked?.ok === false ? DOUBTED : undefined;
  return takeEnvelope({ archive }, source, connector, envelope, verdict, { findings, name, doubt });
}
