/** The configuration of a gateway. */
import { z } from 'zod';
import { UPLINK_BYTES_MAX } from '@waystation/protocol/uplink';
import { BATCH_BYTES_MAX, BATCH_MESSAGES_MAX } from '@waystation/protocol/gateway-link';
import { LEVELS } from '@waystation/runtime/log';

const address = { host: z.string().min(1), port: z.int().min(0).max(65_535) };
const MIB = 1024 * 1024;

/** Every bound of the process. The defaults carry a province of 11,000 stations. */
export const Limits = z.strictObject({
  connections_max: z.int().min(1).max(1_000_000).default(20_000),
  /** Connections greeted at a time, TLS handshake included; more wait unread, as long as `connect_timeout_ms`. */
  greetings_max: z.int().min(1).max(100_000).default(256),
  /** From the beginning of the greeting to the end of CONNECT, TLS handshake included. */
  connect_timeout_ms: z.int().min(100).max(120_000).default(10_000),
  keepalive_max_s: z.int().min(5).max(65_535).default(600),
  publish_bytes_max: z.int().min(1024).max(UPLINK_BYTES_MAX).default(UPLINK_BYTES_MAX),
  /** Over these two rates a station is read more slowly. */
  messages_per_s: z.int().min(1).max(100_000).default(1_000),
  bytes_per_s: z
    .int()
    .min(1024)
    .max(1024 * MIB)
    .default(8 * MIB),
  /** Over this rate of packets that are no publishes the connection ends. */
  controls_per_s: z.int().min(1).max(100_000).default(50),
  /** Bytes a connection may leave unread before it ends. */
  unread_bytes_max: z
    .int()
    .min(64 * 1024)
    .max(64 * MIB)
    .default(2 * MIB),
  drain_timeout_ms: z.int().min(1_000).max(600_000).default(30_000),
  /** Uplink waiting for the cloud, posts in flight included. The last fifth is for events only. */
  pending_bytes_max: z
    .int()
    .min(MIB)
    .max(4096 * MIB)
    .default(64 * MIB),
  batch_messages_max: z.int().min(1).max(BATCH_MESSAGES_MAX).default(500),
  batch_bytes_max: z
    .int()
    .min(UPLINK_BYTES_MAX + 1024)
    .max(BATCH_BYTES_MAX)
    .default(4 * MIB),
  /** How long the first message of a batch waits for others. */
  linger_ms: z.int().min(0).max(1_000).default(10),
  posts_in_flight_max: z.int().min(1).max(16).default(3),
  post_timeout_ms: z.int().min(100).max(120_000).default(15_000),
  stations_max: z.int().min(1).max(1_000_000).default(50_000),
});
export type Limits = z.output<typeof Limits>;

const Listen = z
  .strictObject({
    mqtt: z.strictObject(address).optional(),
    mqtts: z
      .strictObject({
        ...address,
        cert_file: z.string().min(1),
        key_file: z.string().min(1),
        /** With it a certificate whose common name is the station's code is a credential (mutual TLS). */
        client_ca_file: z.string().min(1).optional(),
      })
      .optional(),
  })
  .refine((listen) => listen.mqtt !== undefined || listen.mqtts !== undefined, {
    error: 'needs mqtt, mqtts or both',
  });

const Broker = z.strictObject({
  url: z.url({ protocol: /^mqtts?$/ }),
  username: z.string().min(1).max(64),
  password_file: z.string().min(1),
  ca_file: z.string().min(1).optional(),
  /** Gateways of one group share the uplink. */
  group: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/)
    .default('waystation'),
});

export const GatewayConfig = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9-]{1,32}$/),
    listen: Listen.optional(),
    broker: Broker.optional(),
    cloud: z.strictObject({
      url: z.url({ protocol: /^https?$/ }),
      token_file: z.string().min(1),
      ca_file: z.string().min(1).optional(),
    }),
    /** PEM of the Ed25519 public key that verifies the tokens of stations; needed with `listen`. */
    station_key_file: z.string().min(1).optional(),
    limits: Limits.prefault({}),
    http: z.strictObject(address),
    log_level: z.enum(LEVELS).default('info'),
  })
  .refine((config) => (config.listen === undefined) !== (config.broker === undefined), {
    path: ['listen'],
    error: 'give either listen (stations connect here) or broker (stations connect there)',
  })
  .refine((config) => config.broker?.group !== config.id, {
    path: ['id'],
    error: 'must differ from broker.group, which stands for all gateways of the broker',
  })
  .refine((config) => config.listen === undefined || config.station_key_file !== undefined, {
    path: ['station_key_file'],
    error: 'is needed with listen',
  });
export type GatewayConfig = z.output<typeof GatewayConfig>;

export const SAMPLE_CONFIG: z.input<typeof GatewayConfig> = {
  id: 'gateway-1',
  listen: { mqtt: { host: '127.0.0.1', port: 1883 } },
  cloud: { url: 'http://127.0.0.1:8080', token_file: '/etc/waystation/gateway.token' },
  station_key_file: '/etc/waystation/station-token.public.pem',
  http: { host: '127.0.0.1', port: 9090 },
};
