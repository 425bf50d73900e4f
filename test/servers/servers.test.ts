import { describe, expect, test } from 'vitest';
import { mosquittoAcl } from '@waystation/protocol/topics';
import pg from 'pg';
import mqtt from 'mqtt';
import { startInfluxd } from './influxd.ts';
import { startMosquitto } from './mosquitto.ts';
import { startPostgres } from './postgres.ts';

describe('the real servers the other suites stand on', () => {
  test('PostgreSQL starts empty, survives kill -9 with what it committed, and is durable by its settings', async () => {
    const server = await startPostgres();
    try {
      const before = new pg.Client(server.url);
      await before.connect();
      await before.query('create table kept (n int)');
      await before.query('insert into kept values (7)');
      expect((await before.query('show fsync')).rows[0]).toEqual({ fsync: 'on' });
      before.on('error', () => {});
      await server.kill('SIGKILL');
      await before.end().catch(() => {});
      await server.restart();
      const after = new pg.Client(server.url);
      await after.connect();
      expect((await after.query('select n from kept')).rows).toEqual([{ n: 7 }]);
      await after.end();
    } finally {
      await server.stop();
    }
  });

  test('influxd asks for a password and keeps a point over a restart', async () => {
    const server = await startInfluxd();
    try {
      const denied = await fetch(`${server.url}/write?db=${server.database}`, {
        method: 'POST',
        body: 'probe value=1',
      });
      expect(denied.status).toBe(401);
      const headers = { authorization: `Basic ${btoa(`${server.username}:${server.password}`)}` };
      const written = await fetch(`${server.url}/write?db=${server.database}&precision=ms`, {
        method: 'POST',
        headers,
        body: 'probe value=1 1700000000000',
      });
      expect(written.status).toBe(204);
      await server.kill('SIGKILL');
      await server.restart();
      expect(JSON.stringify(await server.query('select value from probe'))).toContain(
        '[1700000000000,1]',
      );
    } finally {
      await server.stop();
    }
  });

  test('Mosquitto refuses a wrong password', async () => {
    const server = await startMosquitto({
      accounts: { gateway: 'right' },
      acl: mosquittoAcl('gateway'),
    });
    try {
      const good = await mqtt.connectAsync(server.url, {
        username: 'gateway',
        password: 'right',
        reconnectPeriod: 0,
      });
      await good.endAsync();
      const bad = mqtt.connectAsync(server.url, {
        username: 'gateway',
        password: 'wrong',
        reconnectPeriod: 0,
      });
      await expect(bad).rejects.toThrow(/Not authorized/);
    } finally {
      await server.stop();
    }
  });
});
