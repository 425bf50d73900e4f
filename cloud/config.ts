/** What the cloud process needs to be told; every field is read once at start. Secrets are named by file. */
import { z } from 'zod';
import { LEVELS } from '@waystation/runtime/log';

const path = z.string().min(1).max(1024);
const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

const Influx = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }),
    /** The line of InfluxDB: paths and authentication differ, nothing else. */
    flavour: z.literal([1, 2, 3]),
    database: z.string().min(1).max(64),
    organisation: z.string().max(64).optional(),
    username: z.string().max(64).optional(),
    password_file: path.optional(),
    token_file: path.optional(),
  })
  .refine((influx) => influx.flavour === 1 || influx.token_file !== undefined, {
    path: ['token_file'],
    error: 'InfluxDB 2 and 3 need a token',
  })
  .refine((influx) => (influx.username === undefined) === (influx.password_file === undefined), {
    path: ['password_file'],
    error: 'username and password_file come together',
  });

export const CloudConfig = z
  .strictObject({
    listen: z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65_535) }),
    data_dir: path,
    /** `pglite`: embedded, in data_dir. Else the URL of a PostgreSQL server, version 15 or later. */
    database: z.union([z.literal('pglite'), z.string().regex(/^postgres(ql)?:\/\//)]),
    influx: Influx.optional(),
    gateway_token_file: path,
    keys_dir: path,
    /** The built console; absent: the service answers its API only. */
    console_dir: path.optional(),
    /** Whoever comes from this machine acts as the province's administrator. For trying out. */
    demo_visitor: z.boolean().default(false),
    /** A TLS proxy on this machine or the private network stands in front and sets X-Forwarded-*. */
    behind_proxy: z.boolean().default(false),
    seed: z
      .strictObject({ stations: z.enum(['shandong', 'none']), number: z.int().min(0).default(1) })
      .default({ stations: 'none', number: 1 }),
    limits: z
      .strictObject({
        requests_per_minute: z.int().min(10).default(6000),
        logins_per_minute: z.int().min(1).default(10),
        live_connections: z.int().min(1).default(1000),
      })
      .default({ requests_per_minute: 6000, logins_per_minute: 10, live_connections: 1000 }),
    log_level: z.enum(LEVELS).default('info'),
  })
  .refine((config) => !config.demo_visitor || LOOPBACK.includes(config.listen.host), {
    path: ['demo_visitor'],
    error: 'only with listen.host on loopback (127.0.0.1, ::1, localhost)',
  })
  .refine((config) => !(config.demo_visitor && config.behind_proxy), {
    path: ['demo_visitor'],
    error: 'never behind a proxy: every visitor would come from this machine',
  });
export type CloudConfig = z.output<typeof CloudConfig>;

export const SAMPLE_CONFIG: z.input<typeof CloudConfig> = {
  listen: { host: '127.0.0.1', port: 8080 },
  data_dir: '/var/lib/waystation/cloud',
  database: 'postgres://waystation@127.0.0.1/waystation',
  influx: { url: 'http://127.0.0.1:8086', flavour: 1, database: 'waystation' },
  gateway_token_file: '/etc/waystation/gateway-token',
  keys_dir: '/var/lib/waystation/keys',
  console_dir: '/usr/share/waystation/console',
};
