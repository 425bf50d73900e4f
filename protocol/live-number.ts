/** The numbers of live messages. Free of zod: pages compare them. */

/**
 * Live numbers of one start of a cloud lie in a range of this size; the next start, and every other cloud, has another.
 * Numbers of different ranges say nothing of what came first.
 */
export const LIFE_NUMBERS = 2 ** 33;

export function isSameLife(one: number, other: number): boolean {
  return Math.floor(one / LIFE_NUMBERS) === Math.floor(other / LIFE_NUMBERS);
}
