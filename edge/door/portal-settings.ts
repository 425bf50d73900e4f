/** How patient the door is, and with what. */

export interface PortalSettings {
  /** How long a grant releases the lock; also the controller's own limit, so a dead agent leaves it locked. */
  release_ms: number;
  /** How long after the exit button was let go openings are still an exit. */
  egress_ms: number;
  held_open_ms: number;
  /** The sounder starts this long before the held-open alarm. */
  pre_alarm_ms: number;
  /** The sounder falls silent this long after an alarm. */
  sounder_ms: number;
  /** A contact has moved when it stayed for this long. */
  contact_debounce_ms: number;
  /** After closing or the end of a release the bolt needs this long to catch. */
  relatch_ms: number;
  /** Commanded and sensed may differ for this long (and no opening is forced before the bolt had it to catch). */
  lock_fault_ms: number;
  /** A failed lock command is repeated after this long. */
  command_retry_ms: number;
}

export const PORTAL_DEFAULTS: PortalSettings = {
  release_ms: 5_000,
  egress_ms: 5_000,
  held_open_ms: 60_000,
  pre_alarm_ms: 15_000,
  sounder_ms: 60_000,
  contact_debounce_ms: 300,
  relatch_ms: 500,
  lock_fault_ms: 2_000,
  command_retry_ms: 1_000,
};
