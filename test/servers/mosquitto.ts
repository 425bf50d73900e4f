/** A real Mosquitto broker of its own: accounts, access rules, one listener on loopback. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepting, freePort, Program, temporaryDirectory } from './process.ts';
import { requirePart } from './parts.ts';

export interface MosquittoOptions {
  /** User name → password. */
  accounts: Readonly<Record<string, string>>;
  /** The content of the access rule file (see `mosquittoAcl` in protocol/topics.ts). */
  acl: string;
}

export interface TestMosquitto {
  readonly url: string;
  readonly port: number;
  readonly output: string;
  readonly ended: boolean;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export async function startMosquitto(options: MosquittoOptions): Promise<TestMosquitto> {
  const directory = temporaryDirectory('mosquitto');
  const passwords = join(directory.path, 'passwords');
  const acl = join(directory.path, 'acl');
  const config = join(directory.path, 'mosquitto.conf');
  const port = await freePort();
  writeFileSync(
    passwords,
    Object.entries(options.accounts)
      .map(([user, password]) => `${user}:${password}\n`)
      .join(''),
  );
  if (Object.keys(options.accounts).length > 0)
    execFileSync(requirePart('mosquitto_passwd'), ['-U', passwords]);
  writeFileSync(acl, options.acl);
  // Mosquitto drops root for its own user, which must be able to read the two files.
  for (const path of [directory.path, passwords, acl])
    chmodSync(path, path === directory.path ? 0o755 : 0o644);
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous false',
    `password_file ${passwords}`,
    `acl_file ${acl}`,
    'log_type warning',
    'log_type error',
    'log_type notice',
    'log_dest stderr',
    'max_inflight_messages 100',
    'max_queued_messages 20000',
    'persistence false',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const launch = async () => {
    const program = new Program({ command: requirePart('mosquitto'), args: ['-c', config] });
    await accepting(port, program);
    return program;
  };
  let program = await launch();
  const signal = (name: NodeJS.Signals) => process.kill(program.child.pid ?? 0, name);
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
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
