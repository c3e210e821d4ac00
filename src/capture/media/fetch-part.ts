/**
 * Fetches a medium by its place among the parts of a message, where a platform names the message's media in a list of its own: first the list, then what it names.
 */
import { fetchMedia } from './fetch-media.ts';
import type { FetchedMedia, MediaRequest } from './fetch-media.ts';

/** Largest list; it names a few media. */
const LIST_BYTES_MAX = 256 * 1024;

/**
 * Fetches a medium as `fetchMedia` does; a URL of a list leads to the medium that the list names in this place.
 * @param request `part`: the medium's index among the parts
 * @returns `retry` as well where the list does not name it (yet)
 */
export async function fetchPart(request: MediaRequest & { readonly part: number }): Promise<FetchedMedia> {
  const { access, url, part } = request;
  if (access.list?.isList(url) !== true) return fetchMedia(request);
  const answer = await fetchMedia({ ...request, access: { ...access, bytesMax: LIST_BYTES_MAX } });
  if (answer.status !== 'ok') return answer;
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  const located = access.list.locate(url, Buffer.concat(chunks), part);
  return located === undefined
    ? { status: 'retry', reason: 'not in the list' }
    : fetchMedia({ ...request, url: located });
}
