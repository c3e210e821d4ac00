/** What nodes of an archive do one at a time. */
export type Turn = 'sign' | 'destroy' | 'watch';

/** A node's link with the others of its archive; where there is no other, it is always its turn. */
export type NodeLink = {
  /** Is this the node that does what only one may do? Asked before each piece of such work. @throws CartularyError `database-away` where the database is away */
  leads(): Promise<boolean>;
  /** Does something while no other node does anything under the same name; what one node does takes turns whatever the name. */
  alone<Result>(name: Turn, act: () => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
};

/** The link of a node that is the only one. */
export const ONLY_NODE: NodeLink = {
  leads: () => Promise.resolve(true),
  alone: (_name, act) => act(),
  close: () => Promise.resolve(),
};
