/** Changes heard on the stream of late: put over states that were read meanwhile, or from a cloud that was a little behind. */
import { isSameLife } from '@waystation/protocol/live-number';

export type Changes = readonly (readonly [index: number, digit: number])[];

/** A cloud shows what another one has committed within this time. */
export const BEHIND_MAX_MS = 5_000;
/** About one comes a second; beyond it the oldest are forgotten, as those that any states have by then. */
const KEPT_MAX = 500;

export class HeardChanges {
  #heard: { id: number; at: number; changes: Changes }[] = [];
  #reading_since = 0;

  /** What is heard from now on is kept until the next reading begins. */
  readingBegins(now: number): void {
    this.#reading_since = now;
  }

  add(id: number, changes: Changes, now: number): void {
    const since = Math.min(now - BEHIND_MAX_MS, this.#reading_since);
    this.#heard = this.#heard.filter(({ at }) => at >= since).slice(1 - KEPT_MAX);
    this.#heard.push({ id, at: now, changes });
  }

  /** Puts over the states, read at number `read`, what they may lack, heard on the stream that stands at `stream`. */
  putOver(states: Uint8Array, read: number, stream: number): void {
    for (const { id, changes } of this.#heard) {
      if (!isSameLife(id, stream) || (isSameLife(id, read) && id <= read)) continue;
      for (const [index, digit] of changes) if (index < states.length) states[index] = digit;
    }
  }
}
