/** Every error of the HTTP service as one shape: a code, a sentence that names the field, the operator's next step. */
import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { Problem } from '@waystation/protocol/api';
import { Fault, FAULTS, isFault, type FaultCode } from '@waystation/runtime/fault';

/** HTTP status by code; what stands not here is the service's own trouble: 500. */
const STATUS: Partial<Record<FaultCode, number>> = {
  REQUEST_INVALID: 400,
  UPLINK_BATCH_INVALID: 400,
  CARD_INVALID: 400,
  NOT_AUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  COMMAND_REFUSED: 409,
  TOO_MANY_REQUESTS: 429,
  DATABASE_UNAVAILABLE: 503,
  TELEMETRY_UNAVAILABLE: 503,
};

export interface Answer {
  status: number;
  problem: Problem;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function ofFault(fault: Fault): Answer {
  const field = text(fault.facts['field']);
  const said = text(fault.facts['problem']) ?? fault.message;
  return {
    status: STATUS[fault.code] ?? 500,
    problem: {
      code: fault.code,
      message: field === undefined ? said : `${field}: ${said}`,
      ...(field === undefined ? {} : { field }),
      operator: fault.operator,
    },
  };
}

function requestFault(status: number, field: string, problem: string): Answer {
  return { ...ofFault(new Fault('REQUEST_INVALID', { field, problem })), status };
}

/** `body.reason` from the instance path `/reason` and the part of the request that was checked. */
function ofValidation(error: FastifyError): Answer {
  const issue = error.validation?.[0];
  const keys: unknown = issue?.params?.['keys'];
  const unknown = Array.isArray(keys) ? keys.map(String).join(', ') : '';
  const inside = (issue?.instancePath ?? '').split('/').filter((level) => level !== '');
  const field = [error.validationContext ?? 'request', ...inside, ...(unknown ? [unknown] : [])];
  return requestFault(400, field.join('.'), issue?.message ?? 'invalid');
}

const SOCKET_TROUBLE = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'EHOSTUNREACH',
];
/** Connection exceptions, shut down by an operator, too many connections (PostgreSQL, appendix A). */
const SERVER_AWAY = /^(08...|57P0[1-3]|53300)$/;
const POOL_SAYS =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/;

/** What the database's driver throws, told apart: the database is away, or the value is one it cannot hold. */
function ofDatabase(error: Error): Answer | null {
  const code = 'code' in error ? String(error.code) : '';
  if (SOCKET_TROUBLE.includes(code) || SERVER_AWAY.test(code) || POOL_SAYS.test(error.message)) {
    return ofFault(
      new Fault('DATABASE_UNAVAILABLE', { problem: 'the database does not answer' }, error),
    );
  }
  if (!/^22...$/.test(code)) return null;
  return requestFault(400, 'request', 'a value is out of range or cannot be stored');
}

/** The answer to any error; `unexpected` is for the log, never for the client. */
export function problemOf(error: unknown, request_id: string): Answer & { unexpected: boolean } {
  if (isFault(error)) {
    const answer = ofFault(error);
    return { ...answer, unexpected: answer.status >= 500 };
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    return { ...ofValidation(error), unexpected: false };
  }
  const database = error instanceof Error ? ofDatabase(error) : null;
  if (database !== null) return { ...database, unexpected: database.status >= 500 };
  const status =
    error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : Number.NaN;
  if (status >= 400 && status < 500 && error instanceof Error) {
    return { ...requestFault(status, 'request', error.message), unexpected: false };
  }
  const problem = {
    code: 'INTERNAL',
    message: `something failed inside; request ${request_id}`,
    operator: FAULTS.INTERNAL.operator,
  };
  return { status: 500, problem, unexpected: true };
}
