/** The manifests for Kubernetes are held against its own schemas, and against the program: its settings, ports, paths, user, rights. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { StatefulSet } from 'kubernetes-models/apps/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { PersistentVolumeClaim, Pod, Service, ServiceAccount } from 'kubernetes-models/v1';
import { afterAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { API, DATABASE, HOOKS, isServed, readPackaging, ROOT, settingsFrom, START, UID } from './support/packaging.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const place = mkdtempSync(join(tmpdir(), 'cartulary-kubernetes-'));
afterAll(() => rmSync(place, { recursive: true }));

const settingsOf = (environment: Readonly<Record<string, string>>) => settingsFrom(environment, place);

type Container = {
  readonly image: string;
  readonly args?: string[];
  readonly securityContext: unknown;
  readonly env: { name: string; value: string }[];
  readonly ports?: { name: string; containerPort: number }[];
  readonly resources: { readonly limits: { readonly memory: string } };
  readonly volumeMounts: { name: string; mountPath: string }[];
  readonly [probe: `${string}Probe`]: { httpGet: { path: string; port: string; scheme: string } };
};
type PodSpec = {
  readonly enableServiceLinks: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: unknown;
  readonly containers: [Container];
  readonly volumes: { name: string }[];
};

const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: UID,
  runAsGroup: UID,
  fsGroup: UID,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};
const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  privileged: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

type Document = { kind: string; metadata: { name: string }; spec: Record<string, unknown> };

function documentsOf(name: string): Document[] {
  return parseAllDocuments(readPackaging(name)).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Document;
  });
}

/** Of the manifests of one size. */
function findIn(all: readonly Document[], kind: string, name = 'cartulary'): Record<string, unknown> {
  return all.find((document) => document.kind === kind && document.metadata.name === name)?.spec ?? {};
}
const podOf = (all: readonly Document[], name?: string): PodSpec =>
  (findIn(all, 'StatefulSet', name)['template'] as { spec: PodSpec }).spec;
const envOf = ({ containers }: PodSpec): Record<string, string> =>
  Object.fromEntries(containers[0].env.map(({ name, value }) => [name, value]));

/** What Kubernetes itself publishes of each kind. */
const KINDS = { ServiceAccount, PersistentVolumeClaim, Pod, Service, StatefulSet, PodDisruptionBudget, NetworkPolicy };

/**
 * Fields of a document that a schema does not know, which the published ones let pass.
 * @throws where it does not fit the schema of its kind
 */
function findUnknown(document: Document): string[] {
  const Kind = KINDS[document.kind as keyof typeof KINDS] as new (data: object) => { validate(): void };
  const unread = new Set<string>();
  // Given after it was made, since a model copies what it is made of.
  const model = Object.assign(new Kind({}), noteFields(document, '', unread));
  model.validate();
  return [...unread];
}

/** An object that notes which of its fields were looked at: a validator that knows a field does so. */
function noteFields(value: unknown, path: string, unread: Set<string>): object {
  if (typeof value !== 'object' || value === null) return value as never;
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of Object.keys(value)) unread.add(at(key));
  const read = new Map<string, unknown>();
  return new Proxy(value, {
    get(target, key, receiver): unknown {
      const child = Reflect.get(target, key, receiver) as unknown;
      if (typeof key === 'symbol' || (!unread.has(at(key)) && !read.has(key))) return child;
      if (unread.delete(at(key))) read.set(key, noteFields(child, at(key), unread));
      return read.get(key);
    },
  });
}

type Policy = { ingress: object[]; policyTypes: string[] };
type Nodes = {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: object };
  readonly updateStrategy: { readonly type: string };
  readonly persistentVolumeClaimRetentionPolicy: object;
  readonly volumeClaimTemplates: { metadata: { name: string }; spec: { accessModes: string[] } }[];
  readonly template: {
    readonly metadata: { readonly labels: object };
    readonly spec: PodSpec & {
      readonly affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: object[] } };
    };
  };
};

describe('the Kubernetes manifests', () => {
  const small = documentsOf('kubernetes.yaml');
  const large = documentsOf('kubernetes-large.yaml');
  const waiting = documentsOf('kubernetes-init.yaml')[0]?.spec as PodSpec;
  const waitingLarge = documentsOf('kubernetes-large-init.yaml')[0]?.spec as PodSpec;
  const pods: readonly (readonly [string, PodSpec, readonly string[]])[] = [
    ['the server', podOf(small), []],
    ['the pod beside it', waiting, []],
    ['a node that takes in', podOf(large, 'cartulary-edge'), ['data']],
    ['a node that answers', podOf(large, 'cartulary-core'), ['data']],
    ['the pod beside them', waitingLarge, []],
  ];

  it.each(['kubernetes.yaml', 'kubernetes-init.yaml', 'kubernetes-large.yaml', 'kubernetes-large-init.yaml'])(
    '%s fits the published schemas, with no field that they do not know',
    (name) => {
      for (const document of documentsOf(name))
        expect([document.kind, findUnknown(document)]).toEqual([document.kind, []]);
    },
  );

  it('slips of the pen would be noticed', () => {
    const document = {
      kind: 'PodDisruptionBudget',
      metadata: { name: 'x' },
      spec: { selector: {}, maxUnavailable: 1 },
    };
    expect(findUnknown(document)).toEqual([]);
    expect(findUnknown({ ...document, spec: { selector: { matchLabel: {} }, maxUnavailable: 1 } })).toEqual([
      'spec.selector.matchLabel',
    ]);
    expect(() => findUnknown({ ...document, spec: { maxUnavailable: [] } })).toThrow('maxUnavailable');
  });

  it.each(pods)('%s runs with least rights', (_name, pod, claimed) => {
    expect(pod.securityContext).toEqual(RESTRICTED_POD);
    expect(pod.containers.map(({ securityContext }) => securityContext)).toEqual([RESTRICTED_CONTAINER]);
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.containers[0].image).toBe(`cartulary:${version}`);
    expect(pod.containers[0].resources.limits.memory).toMatch(/Gi$/);
    const mounted = pod.containers[0].volumeMounts.map(({ name }) => name);
    expect(mounted.toSorted()).toEqual([...claimed, ...pod.volumes.map(({ name }) => name)].toSorted());
    // Names that a cluster adds for a service called cartulary are no settings, and would stop the start.
    expect(() => settingsOf({ CARTULARY_PORT: 'tcp://10.0.0.1:443' })).toThrow(/not a setting/);
    expect(pod.enableServiceLinks).toBe(false);
  });

  it.each(pods)('%s has settings that exist', (name, pod) => {
    const env = envOf(pod);
    // Several nodes have their database in cartulary.yaml, which is a secret.
    const settings = settingsOf(env['CARTULARY_SHARED'] === undefined ? env : { ...env, CARTULARY_DATABASE: DATABASE });
    const mounts = pod.containers[0].volumeMounts.map(({ mountPath }) => mountPath);
    for (const [setting, value] of Object.entries(env).filter(([, value]) => value.startsWith('/')))
      expect([name, setting, mounts.some((mount) => value.startsWith(`${mount}/`))]).toEqual([name, setting, true]);
    expect(settings.data).toBe('/var/lib/cartulary/data');
  });

  it.each([
    ['the server', podOf(small), ['api', 'hooks'], 'hooks'],
    ['a node that takes in', podOf(large, 'cartulary-edge'), ['api', 'hooks'], 'hooks'],
    ['a node that answers', podOf(large, 'cartulary-core'), ['api'], 'api'],
  ] as const)('%s is asked at its own paths and ports', (_name, pod, ports, probed) => {
    const [container] = pod.containers;
    const env = envOf(pod);
    const { listen, hooksListen } = settingsOf({ ...env, CARTULARY_DATABASE: DATABASE });
    const numbers = { api: listen.port, hooks: hooksListen?.port };
    expect([numbers.api, numbers.hooks]).toEqual([API, ports.length === 2 ? HOOKS : undefined]);
    expect(container.ports).toEqual(ports.map((name) => ({ name, containerPort: numbers[name] })));
    const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
    for (const httpGet of probes.map((name) => container[name]?.httpGet)) {
      expect([httpGet?.path, isServed(httpGet?.path ?? '')]).toEqual([httpGet?.path, true]);
      expect(httpGet).toMatchObject({ port: probed, scheme: 'HTTPS' });
    }
    expect(container['readinessProbe']?.httpGet.path).toBe('/readyz');
    expect(container.args).toEqual(START);
  });

  it('what faces the internet leads to hooks, and only they are open to all', () => {
    expect(small.map(({ kind }) => kind)).toEqual([
      ...['ServiceAccount', 'PersistentVolumeClaim', 'StatefulSet', 'Service', 'Service', 'NetworkPolicy'],
    ]);
    for (const [all, policy] of [
      [small, 'cartulary'],
      [large, 'cartulary-edge'],
    ] as const) {
      expect(findIn(all, 'Service')['ports']).toEqual([{ name: 'hooks', port: 443, targetPort: 'hooks' }]);
      const { ingress, policyTypes } = findIn(all, 'NetworkPolicy', policy) as Policy;
      expect(policyTypes).toEqual(['Ingress', 'Egress']);
      expect(ingress.filter((rule) => !('from' in rule))).toEqual([{ ports: [{ port: 'hooks' }] }]);
    }
    const core = findIn(large, 'NetworkPolicy', 'cartulary-core') as Policy;
    expect([core.policyTypes, core.ingress.every((rule) => 'from' in rule)]).toEqual([['Ingress', 'Egress'], true]);
  });

  it('of several nodes any one may be missed: each kind twice, apart, and never two away by will', () => {
    const roles = new Set<string>();
    for (const name of ['edge', 'core']) {
      const labels = { 'app.kubernetes.io/name': 'cartulary', 'app.kubernetes.io/component': name };
      const set = findIn(large, 'StatefulSet', `cartulary-${name}`) as Nodes;
      expect(set.replicas).toBeGreaterThan(1);
      expect(set.selector.matchLabels).toEqual(labels);
      expect(set.template.metadata.labels).toEqual(labels);
      expect(set.updateStrategy.type).toBe('RollingUpdate');
      expect(set.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
      expect(set.volumeClaimTemplates.map((claim) => [claim.metadata.name, claim.spec.accessModes])).toEqual([
        ['data', ['ReadWriteOncePod']],
      ]);
      expect(set.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution).toEqual([
        { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: labels } },
      ]);
      expect(findIn(large, 'PodDisruptionBudget', `cartulary-${name}`)).toEqual({
        maxUnavailable: 1,
        selector: { matchLabels: labels },
      });
      const env = envOf(set.template.spec);
      for (const role of settingsOf({ ...env, CARTULARY_DATABASE: DATABASE }).roles) roles.add(role);
      expect(set.template.spec.volumes).toContainEqual({
        name: 'shared',
        persistentVolumeClaim: { claimName: 'cartulary-shared' },
      });
    }
    expect([...roles].toSorted()).toEqual(['api', 'edge', 'work']);
    expect(findIn(large, 'PersistentVolumeClaim', 'cartulary-shared')).toMatchObject({
      accessModes: ['ReadWriteMany'],
    });
    // The archive is made where all of them look for it.
    expect(envOf(waitingLarge)['CARTULARY_SHARED']).toBe(envOf(podOf(large, 'cartulary-edge'))['CARTULARY_SHARED']);
  });
});
