/** Where blobs are. Plain values, since they cross to threads. */
import { CartularyError } from '../model/errors.ts';

/** Who asks an S3 server. */
export type S3Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where the credentials are of limited time. */
  readonly sessionToken?: string;
};

/** A place in a bucket, as a setting names it. */
export type S3Place = {
  readonly bucket: string;
  /** What every key begins with: empty, or ends with `/`. */
  readonly prefix: string;
  readonly region: string;
  /** Where it is not Amazon's; the bucket is then in the path (path style). */
  readonly endpoint?: string;
};

/** A place in a bucket, and who goes there. */
export type BlobSetting = S3Place & { readonly credentials: S3Credentials };

/** A place on another machine: a directory that is mounted here, or a place in a bucket. */
export type PlaceSetting =
  | { readonly engine: 'directory'; readonly path: string }
  | ({ readonly engine: 's3' } & BlobSetting);

/** A place in a bucket, with all that it takes to go there. */
export type S3Location = BlobSetting & {
  readonly engine: 's3';
  /** Directory on this machine in which a blob waits until it has a name. */
  readonly spool: string;
  /** Where blobs are below the prefix, with `/` at its end: `blobs/` where nothing is said. */
  readonly folder?: string;
};

/** A directory, perhaps one that several nodes share. */
export type BlobDirectory = {
  readonly engine: 'directory';
  readonly path: string;
  /** Who writes there besides others: what it has half written is told apart from what they have. */
  readonly node?: string;
};

export type BlobLocation = BlobDirectory | S3Location;

/** What a setting says: the place, and the file in which the credentials are, where the environment does not have them. */
export type BlobUrl = { readonly place: S3Place; readonly credentialsFile?: string };

/** @source Amazon S3 User Guide, "General purpose bucket naming rules" */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Characters that no server and no proxy writes otherwise. */
const PREFIX = /^[A-Za-z0-9!_.*'()-]+(?:\/[A-Za-z0-9!_.*'()-]+)*$/;
const REGION = /^[a-z0-9-]{1,40}$/;
const KEYS_BYTES_MAX = 700;
const PARAMETERS = new Set(['region', 'endpoint', 'credentials']);

/**
 * Reads `s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST&credentials=FILE`.
 * @throws CartularyError `bad-input` with what is wrong, which quotes nothing of it
 */
export function parseBlobUrl(text: string): BlobUrl {
  const wrong = (reason: string): CartularyError => new CartularyError('bad-input', reason);
  if (!URL.canParse(text)) throw wrong('is s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST');
  const url = new URL(text);
  if (url.protocol !== 's3:') throw wrong('begins with s3://');
  if (url.username + url.password !== '')
    throw wrong('has no credentials in it: give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a file');
  if (url.port + url.hash !== '') throw wrong('has neither a port nor a fragment; the server is the endpoint');
  if (!BUCKET.test(url.hostname)) throw wrong('has the name of a bucket behind s3://');
  for (const name of url.searchParams.keys())
    if (!PARAMETERS.has(name) || url.searchParams.getAll(name).length > 1)
      throw wrong('has no other parameters than region, endpoint and credentials, each once');
  const path = url.pathname.replace(/^\//, '').replace(/\/$/, '');
  if (path !== '' && (!PREFIX.test(path) || path.length > KEYS_BYTES_MAX))
    throw wrong("has a prefix of letters, digits and !-_.*'() between single slashes");
  if (path.split('/').some((part) => part === '.' || part === '..')) throw wrong('has a prefix without "." and ".."');
  const region = url.searchParams.get('region') ?? '';
  if (!REGION.test(region)) throw wrong('names its region: ?region=eu-central-1');
  const endpoint = url.searchParams.get('endpoint');
  const credentialsFile = url.searchParams.get('credentials');
  if (credentialsFile === '') throw wrong('names a file behind credentials=');
  return {
    place: {
      bucket: url.hostname,
      prefix: path === '' ? '' : `${path}/`,
      region,
      ...(endpoint === null ? {} : { endpoint: parseEndpoint(endpoint) }),
    },
    ...(credentialsFile === null ? {} : { credentialsFile }),
  };
}

function parseEndpoint(text: string): string {
  const reason = 'has an endpoint as https://HOST:PORT, without path, user and query';
  if (!URL.canParse(text)) throw new CartularyError('bad-input', reason);
  const { protocol, username, password, pathname, search, hash, origin } = new URL(text);
  if (!/^https?:$/.test(protocol) || username + password + search + hash !== '' || pathname !== '/')
    throw new CartularyError('bad-input', reason);
  return origin;
}

/**
 * Reads credentials from the text of a file as Amazon's tools write it: `aws_access_key_id = …` below `[default]`.
 * @throws CartularyError `bad-input` where they are not in it
 * @source AWS SDKs and Tools Reference Guide, "Shared config and credentials files"
 */
export function parseCredentials(text: string): S3Credentials {
  const values = new Map<string, string>();
  let profile = 'default';
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*(.*?)\s*\]\s*$/.exec(line);
    if (section !== null) profile = section[1] ?? '';
    const [name, ...rest] = line.split('=');
    if (profile === 'default' && rest.length > 0) values.set((name ?? '').trim().toLowerCase(), rest.join('=').trim());
  }
  return credentialsOf(
    values.get('aws_access_key_id'),
    values.get('aws_secret_access_key'),
    values.get('aws_session_token'),
  );
}

/** @throws CartularyError `bad-input` where one is missing */
export function credentialsOf(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
): S3Credentials {
  if (!accessKeyId || !secretAccessKey)
    throw new CartularyError(
      'bad-input',
      'needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or a file named by &credentials=FILE',
    );
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
