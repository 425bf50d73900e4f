/** A real PostgreSQL of its own: data directory, port, durable settings as in production. */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepting, freePort, Program, temporaryDirectory } from './process.ts';
import { requirePart } from './parts.ts';

export interface TestPostgres {
  /** postgres://… for a super user on a database that is empty at first. */
  readonly url: string;
  readonly pid: number;
  readonly output: string;
  /** It ended, by `kill` or by itself. */
  readonly ended: boolean;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts again on the same data and port after `kill`. */
  restart(): Promise<void>;
  /** Freezes or thaws the whole server (SIGSTOP, SIGCONT). */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root: the distribution's own user runs it then. */
function serverUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8').match(/^postgres:[^:]*:(\d+):(\d+):/m);
  if (!line) throw new Error('there is no user postgres to run the server');
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

const ORPHANS_WITHIN_MS = 10_000;

/** Backends outlive a killed postmaster for a moment, commit what they have and keep the next one from starting. */
async function endOrphans(pids: readonly number[]): Promise<void> {
  const alive = () => pids.filter((pid) => existsSync(`/proc/${pid}`));
  for (const pid of alive()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it ended by itself
    }
  }
  const end = performance.now() + ORPHANS_WITHIN_MS;
  while (alive().length > 0) {
    if (performance.now() > end)
      throw new Error(`backends of PostgreSQL live on: ${alive().join()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface PostgresOptions {
  /** An empty directory that its user can reach; the caller removes it. Without it: one of its own. */
  directory?: string;
  /** How much write-ahead log may lie about. */
  max_wal_size?: string;
}

export async function startPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  const directory =
    options.directory === undefined
      ? temporaryDirectory('postgres')
      : { path: options.directory, remove: () => {} };
  const data = join(directory.path, 'data');
  const user = serverUser();
  if (user.uid !== undefined && user.gid !== undefined)
    chownSync(directory.path, user.uid, user.gid);
  execFileSync(
    requirePart('initdb'),
    [
      '-D',
      data,
      '-U',
      'waystation',
      '--auth=trust',
      '--encoding=UTF8',
      '--locale=C.UTF-8',
      '--no-sync',
    ],
    { ...user, stdio: 'pipe', cwd: directory.path },
  );
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: directory.path,
    max_connections: '60',
    shared_buffers: '256MB',
    max_wal_size: options.max_wal_size ?? '2GB',
  };
  const args = [
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const launch = async () => {
    const program = new Program({
      command: requirePart('postgres'),
      args,
      cwd: directory.path,
      ...user,
    });
    await program.saw(/database system is ready to accept connections/);
    await accepting(port, program);
    return program;
  };
  let program = await launch();
  // The postmaster and its children: a frozen child would otherwise go on serving.
  const family = () => {
    const postmaster = program.child.pid ?? 0;
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim();
    return [postmaster, ...children.split(' ').filter(Boolean).map(Number)];
  };
  return {
    url: `postgres://waystation@127.0.0.1:${port}/postgres`,
    get pid() {
      return program.child.pid ?? 0;
    },
    get output() {
      return program.output;
    },
    get ended() {
      return program.ended;
    },
    kill: async (signal) => {
      const all = program.ended ? [] : family();
      await program.end(signal);
      if (signal === 'SIGKILL') await endOrphans(all);
    },
    restart: async () => {
      program = await launch();
    },
    pause: () => family().forEach((pid) => process.kill(pid, 'SIGSTOP')),
    resume: () => family().forEach((pid) => process.kill(pid, 'SIGCONT')),
    stop: async () => {
      await program.end('SIGINT');
      directory.remove();
    },
  };
}
