/** An InfluxDB 1.x named on the command line: its address taken apart, its database made when it is not there. */
import { readSecret } from '@waystation/runtime/config';
import { Fault } from '@waystation/runtime/fault';

export interface InfluxAddress {
  url: string;
  database: string;
  username?: string;
  password_file?: string;
}

/** `http://[user@]host:port[/database]`; the password's file comes from the environment. */
export function influxAddress(url: URL, password_file: string | undefined): InfluxAddress {
  const database = url.pathname.slice(1) || 'waystation';
  if (!/^[\w-]{1,60}$/.test(database)) {
    throw new Fault('USAGE', {
      flag: '--influx',
      problem: `"${database}" is not a database's name`,
    });
  }
  if (url.username === '' || password_file === undefined) return { url: url.origin, database };
  return { url: url.origin, database, username: decodeURIComponent(url.username), password_file };
}

/** Says whether the database is there now. Making one that exists changes nothing. */
export async function makeInfluxDatabase(address: InfluxAddress): Promise<boolean> {
  const { url, database, username, password_file } = address;
  const login =
    username === undefined || password_file === undefined
      ? {}
      : { authorization: `Basic ${btoa(`${username}:${readSecret(password_file)}`)}` };
  try {
    const answer = await fetch(`${url}/query`, {
      method: 'POST',
      headers: { ...login, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ q: `CREATE DATABASE "${database}"` }),
      signal: AbortSignal.timeout(5_000),
    });
    return answer.ok;
  } catch {
    // Away now: points wait in the backlog, and the caller says so.
    return false;
  }
}
