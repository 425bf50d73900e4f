/** A real InfluxDB (the distribution's 1.x) of its own, with a database made and authentication on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepting, freePort, Program, temporaryDirectory } from './process.ts';
import { requirePart } from './parts.ts';

export interface TestInfluxd {
  readonly url: string;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  readonly pid: number;
  readonly output: string;
  readonly ended: boolean;
  /** InfluxQL; the decoded JSON answer. */
  query(statement: string): Promise<unknown>;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

function configuration(directory: string, port: number, rpc_port: number): string {
  return `reporting-disabled = true
bind-address = "127.0.0.1:${rpc_port}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = true
  log-enabled = false
[logging]
  level = "warn"
`;
}

/** `at`: an empty directory for everything it keeps, which the caller removes; without it one of its own. */
export async function startInfluxd(at?: string): Promise<TestInfluxd> {
  const directory =
    at === undefined ? temporaryDirectory('influxd') : { path: at, remove: () => {} };
  const port = await freePort();
  const config = join(directory.path, 'influxdb.conf');
  writeFileSync(config, configuration(directory.path, port, await freePort()));
  const url = `http://127.0.0.1:${port}`;
  const username = 'waystation';
  const password = 'only-for-tests';
  const launch = async () => {
    const program = new Program({
      command: requirePart('influxd'),
      args: ['-config', config],
      env: { HOME: directory.path, PATH: '/usr/bin:/bin' },
    });
    await accepting(port, program);
    return program;
  };
  let program = await launch();
  const query = async (statement: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?db=telemetry&epoch=ms`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${btoa(`${username}:${password}`)}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ q: statement }),
    });
    if (!answer.ok) throw new Error(`influxd answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
  await query(`CREATE USER ${username} WITH PASSWORD '${password}' WITH ALL PRIVILEGES`);
  await query('CREATE DATABASE telemetry');
  const signal = (name: NodeJS.Signals) => process.kill(program.child.pid ?? 0, name);
  return {
    url,
    database: 'telemetry',
    username,
    password,
    query,
    get pid() {
      return program.child.pid ?? 0;
    },
    get output() {
      return program.output;
    },
    get ended() {
      return program.ended;
    },
    kill: async (name) => {
      await program.end(name);
    },
    restart: async () => {
      program = await launch();
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    stop: async () => {
      await program.end('SIGTERM');
      directory.remove();
    },
  };
}
