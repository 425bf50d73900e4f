/** Calls to /api/v1: same origin, cookie session, a `Problem` for everything that fails. */
import type {
  CommandState,
  EventPage,
  OrganisationRow,
  Problem,
  Series,
  Session,
  StationDetail,
  StationIndex,
  StationPage,
  StationStates,
  UsageDay,
} from '@waystation/protocol/api';

/** What the service said, or that it could not be reached (code `NETWORK`). */
export class ApiError extends Error {
  readonly problem: Problem;
  readonly status: number;

  constructor(status: number, problem: Problem) {
    super(problem.message);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

const UNREACHABLE: Problem = { code: 'NETWORK', message: 'network', operator: '' };

async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      credentials: 'same-origin',
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, UNREACHABLE);
  }
  if (answer.ok) return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T);
  const problem = (await answer.json().catch(() => null)) as Problem | null;
  throw new ApiError(
    answer.status,
    problem ?? { code: `HTTP_${answer.status}`, message: answer.statusText, operator: '' },
  );
}

function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

export const api = {
  session: () => call<Session>('GET', '/session'),
  signIn: (account: string, password: string) =>
    call<Session>('POST', '/session', { account, password }),
  signOut: () => call<void>('DELETE', '/session'),
  stationIndex: (signal?: AbortSignal) =>
    call<StationIndex>('GET', '/stations/index', undefined, signal),
  stationStates: () => call<StationStates>('GET', '/stations/states'),
  stations: (
    filter: {
      organisation?: number;
      status?: string;
      kind?: string;
      search?: string;
      after?: string;
      limit?: number;
    },
    signal?: AbortSignal,
  ) => call<StationPage>('GET', `/stations${query(filter)}`, undefined, signal),
  station: (code: string, signal?: AbortSignal) =>
    call<StationDetail>('GET', `/stations/${encodeURIComponent(code)}`, undefined, signal),
  events: (code: string, after?: string, signal?: AbortSignal) =>
    call<EventPage>(
      'GET',
      `/stations/${encodeURIComponent(code)}/events${query({ after, limit: 30 })}`,
      undefined,
      signal,
    ),
  series: (code: string, measurement: string, from: number, to: number, signal?: AbortSignal) =>
    call<Series>(
      'GET',
      `/stations/${encodeURIComponent(code)}/series${query({ measurement, from, to })}`,
      undefined,
      signal,
    ),
  open: (code: string, reason: string) =>
    call<CommandState>('POST', `/stations/${encodeURIComponent(code)}/commands`, {
      kind: 'open',
      reason,
    }),
  command: (id: string) => call<CommandState>('GET', `/commands/${encodeURIComponent(id)}`),
  /** The organisations right below this one. */
  organisations: (parent: number, signal?: AbortSignal) =>
    call<OrganisationRow[]>('GET', `/organisations/${parent}/children`, undefined, signal),
  usage: (organisation: number | undefined, from: string, to: string, signal?: AbortSignal) =>
    call<UsageDay[]>('GET', `/usage/daily${query({ organisation, from, to })}`, undefined, signal),
};
