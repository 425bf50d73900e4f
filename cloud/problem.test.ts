import { expect, it } from 'vitest';
import { Fault } from '@waystation/runtime/fault';
import { problemOf } from './problem.ts';

const errorWith = (code: string, message = 'x') => Object.assign(new Error(message), { code });

it.each([
  [new Fault('NOT_FOUND', { problem: 'no station x' }), 404, 'NOT_FOUND', 'no station x'],
  [
    new Fault('REQUEST_INVALID', { field: 'a.b', problem: 'is odd' }),
    400,
    'REQUEST_INVALID',
    'a.b: is odd',
  ],
  [errorWith('ECONNREFUSED'), 503, 'DATABASE_UNAVAILABLE', 'the database does not answer'],
  [errorWith('57P01'), 503, 'DATABASE_UNAVAILABLE', 'the database does not answer'],
  [
    new Error('Connection terminated unexpectedly'),
    503,
    'DATABASE_UNAVAILABLE',
    'the database does not answer',
  ],
  [
    errorWith('22003'),
    400,
    'REQUEST_INVALID',
    'request: a value is out of range or cannot be stored',
  ],
  [
    Object.assign(errorWith('FST_X', 'too large'), { statusCode: 413 }),
    413,
    'REQUEST_INVALID',
    'request: too large',
  ],
  [errorWith('42601', 'syntax error'), 500, 'INTERNAL', 'something failed inside; request r1'],
  ['not an error', 500, 'INTERNAL', 'something failed inside; request r1'],
])('%s -> %d %s', (error, status, code, message) => {
  const answer = problemOf(error, 'r1');
  expect(answer).toMatchObject({ status, problem: { code, message }, unexpected: status >= 500 });
});
