/** One error class for what is expected to go wrong, and one table that tells the operator what to do next. */

/** `retry`: the same call may succeed later without anybody doing anything. */
export const FAULTS = {
  CONFIG_UNREADABLE: {
    retry: false,
    operator: 'Check that the --config file exists and that this user may read it.',
  },
  CONFIG_INVALID: {
    retry: false,
    operator: 'Correct the named field; --print-config shows what is accepted.',
  },
  USAGE: { retry: false, operator: 'Call again with the arguments that --help lists.' },
  SERIAL_OPEN_FAILED: {
    retry: true,
    operator: 'Check the cable and the device path; the agent keeps trying.',
  },
  SERIAL_CLOSED: {
    retry: true,
    operator: 'The line is unplugged; plug it in again, no restart is needed.',
  },
  MODBUS_TIMEOUT: {
    retry: true,
    operator: 'Check power, wiring, unit address and speed of the device.',
  },
  MODBUS_CRC: { retry: true, operator: 'Check shielding, termination and speed of the line.' },
  MODBUS_EXCEPTION: {
    retry: false,
    operator: 'The device refuses the register: check its model and firmware.',
  },
  MODBUS_EXPIRED: { retry: true, operator: 'The line is too busy: the command was not sent.' },
  LOCK_UNCONFIRMED: {
    retry: true,
    operator: 'The relay did not confirm; look at the lock and its wiring.',
  },
  OUTBOX_FULL: {
    retry: true,
    operator: 'The disk is full or the uplink has been down too long; free space.',
  },
  OUTBOX_CORRUPT: {
    retry: false,
    operator: 'The outbox was set aside and a new one begun; keep the file for inquiry.',
  },
  UPLINK_REFUSED: {
    retry: true,
    operator: 'The gateway refused the credential; claim the station again.',
  },
  UPLINK_CLOCK: { retry: true, operator: 'TLS failed because of the date; set the station clock.' },
  UPLINK_LOST: {
    retry: true,
    operator: 'The gateway cannot be reached; the station keeps its records and tries again.',
  },
  TRUST_INVALID: {
    retry: false,
    operator: 'The key set or status list is not signed by a pinned root; publish it again.',
  },
  GATEWAY_LISTEN: { retry: false, operator: 'Another process uses this port; choose another one.' },
  GATEWAY_CLOUD_UNREACHABLE: {
    retry: true,
    operator: 'Check the cloud address and token; stations keep their records.',
  },
  GATEWAY_BROKER_LOST: { retry: true, operator: 'Check the broker address and credential.' },
  DATABASE_UNAVAILABLE: {
    retry: true,
    operator: 'Check the PostgreSQL address, credential and disk.',
  },
  DATABASE_LOCKED: {
    retry: false,
    operator: 'Another process uses this data directory; stop it first.',
  },
  MIGRATION_FAILED: {
    retry: false,
    operator: 'The database is left as it was; read the cause and restore or repair.',
  },
  TELEMETRY_UNAVAILABLE: {
    retry: true,
    operator: 'InfluxDB is away; points wait in the backlog table.',
  },
  TELEMETRY_REJECTED: {
    retry: false,
    operator: 'InfluxDB refused points; look at the dead letters.',
  },
  UPLINK_BATCH_INVALID: {
    retry: false,
    operator: 'The gateway sent a batch that cannot be read; check its version.',
  },
  NOT_AUTHENTICATED: { retry: false, operator: 'Sign in, or check the token.' },
  FORBIDDEN: { retry: false, operator: 'This account has no right to do this here.' },
  NOT_FOUND: { retry: false, operator: 'Check the code in the address.' },
  REQUEST_INVALID: { retry: false, operator: 'Correct the named field.' },
  TOO_MANY_REQUESTS: { retry: true, operator: 'Wait a moment and try again.' },
  COMMAND_REFUSED: {
    retry: false,
    operator: 'Read the reason: the station or its state does not allow this.',
  },
  CARD_KEY_INVALID: {
    retry: false,
    operator: 'Restore the key file from the safe; never make a new root over an old one.',
  },
  CARD_INVALID: { retry: false, operator: 'Issue the card again.' },
  PORT_IN_USE: {
    retry: false,
    operator: 'Another process uses this port; choose another with --port or --mqtt-port.',
  },
  INTERNAL: {
    retry: true,
    operator: 'A fault of the service itself: find the request id in its log and report it.',
  },
  MACHINE_TOO_SMALL: {
    retry: false,
    operator:
      'Raise the named limit as the message says, or ask for a smaller run; nothing was started.',
  },
  MOUNT_REFUSED: {
    retry: false,
    operator:
      'Disks are filled up for real: run it as root where file systems may be mounted (a container needs CAP_SYS_ADMIN).',
  },
  PART_MISSING: { retry: false, operator: 'Install the named part with the printed command.' },
} as const satisfies Record<string, { retry: boolean; operator: string }>;

export type FaultCode = keyof typeof FAULTS;
export type Facts = Record<string, string | number | boolean>;

/** An expected failure: a code, the facts of this case, and by the code the operator's next step. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly facts: Facts;

  constructor(code: FaultCode, facts: Facts = {}, cause?: unknown) {
    const text = Object.entries(facts).map(([name, value]) => `${name}=${value}`);
    super([code, ...text].join(' '), cause === undefined ? undefined : { cause });
    this.name = 'Fault';
    this.code = code;
    this.facts = facts;
  }

  get retry(): boolean {
    return FAULTS[this.code].retry;
  }

  get operator(): string {
    return FAULTS[this.code].operator;
  }
}

export function isFault(error: unknown, code?: FaultCode): error is Fault {
  return error instanceof Fault && (code === undefined || error.code === code);
}
