/** Who asks and how far he sees: an account, its role, and one subtree of the organisations. */
import { sql, type RawBuilder } from 'kysely';
import { ROLES, type Role } from '@waystation/protocol/api';

export interface Actor {
  account: string;
  role: Role;
  organisation: number;
  organisation_name: string;
  /** Path of the organisation (ids from the root, joined by dots): the account sees this subtree, nothing else. */
  path: string;
}

/** The roles are a ladder: an administrator may do what an operator may. */
export function hasRole(actor: Actor, least: Role): boolean {
  return ROLES.indexOf(actor.role) >= ROLES.indexOf(least);
}

/** One range of the unique index on `organisation.path`; every read of the service carries it. */
export function inSubtree(path: string): RawBuilder<boolean> {
  const column = sql.ref('organisation.path');
  return sql<boolean>`(${column} = ${path} or (${column} > ${`${path}.`} and ${column} < ${`${path}/`}))`;
}

/** The same test in memory. */
export function isInSubtree(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}.`);
}
