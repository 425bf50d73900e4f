/**
 * The form of every packet a client may send, judged byte by byte as MQTT 3.1.1 lays it down.
 * The parser behind it reads ill-formed UTF-8 as U+FFFD, takes packet identifier 0, and misses several reserved bits.
 */
import { isUtf8 } from 'node:buffer';

/** Why a connection must end. `level` and `emptyId` are told the client by CONNACK, the others by the end itself. */
export type Violation =
  | 'type'
  | 'flags'
  | 'length'
  | 'packetId'
  | 'utf8'
  | 'topic'
  | 'filter'
  | 'protocolName'
  | 'connectFlags'
  | 'secondConnect'
  | 'level'
  | 'emptyId';

export const TYPE = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const;

/** Type → its four reserved bits (table 2.2). What a server alone may send is not here, nor are types 0 and 15. */
const RESERVED = new Map<number, number>([
  [TYPE.connect, 0],
  [TYPE.puback, 0],
  [TYPE.pubrec, 0],
  [TYPE.pubrel, 2],
  [TYPE.pubcomp, 0],
  [TYPE.subscribe, 2],
  [TYPE.unsubscribe, 2],
  [TYPE.pingreq, 0],
  [TYPE.disconnect, 0],
]);

/** The first byte of a packet that is not the first of its connection (2.2.1, 2.2.2, 3.3.1). */
export function judgeFirstByte(first_byte: number): Violation | null {
  const type = first_byte >> 4;
  const flags = first_byte & 0x0f;
  if (type === TYPE.publish) {
    const qos = (flags >> 1) & 3;
    const redelivered_qos0 = qos === 0 && (flags & 8) !== 0;
    return qos === 3 || redelivered_qos0 ? 'flags' : null;
  }
  if (type === TYPE.connect) return flags === 0 ? 'secondConnect' : 'flags';
  const reserved = RESERVED.get(type);
  if (reserved === undefined) return 'type';
  return flags === reserved ? null : 'flags';
}

interface Field {
  bytes: Uint8Array;
  /** Where the next field begins. */
  end: number;
}

/** A field with its length in two bytes before it (1.5.3), or `null` when the packet ends within it. */
function field(body: Uint8Array, at: number): Field | null {
  const high = body[at];
  const low = body[at + 1];
  if (high === undefined || low === undefined) return null;
  const end = at + 2 + high * 256 + low;
  return end > body.length ? null : { bytes: body.subarray(at + 2, end), end };
}

const isString = (bytes: Uint8Array) => isUtf8(bytes) && !bytes.includes(0);

const PLUS = 0x2b;
const HASH = 0x23;
const SLASH = 0x2f;

function judgeTopicName(bytes: Uint8Array): Violation | null {
  if (!isString(bytes)) return 'utf8';
  return bytes.length === 0 || bytes.includes(PLUS) || bytes.includes(HASH) ? 'topic' : null;
}

/** `#` only as the whole last level, `+` only as a whole level (4.7.1). */
function judgeTopicFilter(bytes: Uint8Array): Violation | null {
  if (!isString(bytes)) return 'utf8';
  if (bytes.length === 0) return 'filter';
  for (const [at, byte] of bytes.entries()) {
    if (byte !== PLUS && byte !== HASH) continue;
    const begins = at === 0 || bytes[at - 1] === SLASH;
    const last = at === bytes.length - 1;
    const ends = last || (byte === PLUS && bytes[at + 1] === SLASH);
    if (!begins || !ends) return 'filter';
  }
  return null;
}

function judgePacketId(body: Uint8Array, at: number): Violation | null {
  if (body.length < at + 2) return 'length';
  return body[at] === 0 && body[at + 1] === 0 ? 'packetId' : null;
}

/** `head` is the body of a PUBLISH, or its beginning up to the end of the packet identifier. */
function judgePublish(first_byte: number, head: Uint8Array): Violation | null {
  const topic = field(head, 0);
  if (topic === null) return 'length';
  const qos = (first_byte >> 1) & 3;
  return judgeTopicName(topic.bytes) ?? (qos === 0 ? null : judgePacketId(head, topic.end));
}

/** SUBSCRIBE asks for a QoS after each filter, UNSUBSCRIBE does not. */
function judgeFilters(body: Uint8Array, with_qos: boolean): Violation | null {
  const violation = judgePacketId(body, 0);
  if (violation !== null) return violation;
  if (body.length === 2) return 'length';
  for (let at = 2; at < body.length;) {
    const filter = field(body, at);
    if (filter === null) return 'length';
    const wrong = judgeTopicFilter(filter.bytes);
    if (wrong !== null) return wrong;
    at = filter.end;
    if (!with_qos) continue;
    const qos = body[at];
    if (qos === undefined) return 'length';
    if (qos > 2) return 'flags';
    at += 1;
  }
  return null;
}

const MQTT = Buffer.from('MQTT');
/** The name of MQTT 3.1, which is served too. */
const MQISDP = Buffer.from('MQIsdp');

const FLAG = { reserved: 0x01, clean: 0x02, will: 0x04, retain: 0x20, password: 0x40, user: 0x80 };

/** Flags that contradict each other (3.1.2.3 to 3.1.2.9). */
function flagsContradict(flags: number): boolean {
  const will_qos = (flags >> 3) & 3;
  if (flags & FLAG.reserved) return true;
  if (flags & FLAG.will ? will_qos === 3 : will_qos > 0 || (flags & FLAG.retain) !== 0) return true;
  return (flags & FLAG.password) !== 0 && (flags & FLAG.user) === 0;
}

/** Client identifier, will topic, will message, user name, password, in this order, and nothing else (3.1.3). */
function judgeConnectPayload(body: Uint8Array, from: number, flags: number): Violation | null {
  const id = field(body, from);
  if (id === null) return 'length';
  if (!isString(id.bytes)) return 'utf8';
  let end = id.end;
  if (flags & FLAG.will) {
    const topic = field(body, end);
    if (topic === null) return 'length';
    const wrong = judgeTopicName(topic.bytes);
    if (wrong !== null) return wrong;
    const message = field(body, topic.end);
    if (message === null) return 'length';
    end = message.end;
  }
  if (flags & FLAG.user) {
    const user = field(body, end);
    if (user === null) return 'length';
    if (!isString(user.bytes)) return 'utf8';
    end = user.end;
  }
  if (flags & FLAG.password) {
    const password = field(body, end);
    if (password === null) return 'length';
    end = password.end;
  }
  if (end !== body.length) return 'length';
  return id.bytes.length === 0 && (flags & FLAG.clean) === 0 ? 'emptyId' : null;
}

function judgeConnect(body: Uint8Array): Violation | null {
  const name = field(body, 0);
  if (name === null) return 'length';
  const old = MQISDP.equals(name.bytes);
  if (!old && !MQTT.equals(name.bytes)) return 'protocolName';
  const level = body[name.end];
  const flags = body[name.end + 1];
  if (level === undefined) return 'length';
  // Before anything else: what follows another level follows another standard.
  if (level !== (old ? 3 : 4)) return 'level';
  if (flags === undefined) return 'length';
  if (flagsContradict(flags)) return 'connectFlags';
  return judgeConnectPayload(body, name.end + 4, flags);
}

/** The body of a packet whose first byte was found right. */
export function judgeBody(first_byte: number, body: Uint8Array): Violation | null {
  switch (first_byte >> 4) {
    case TYPE.connect:
      return judgeConnect(body);
    case TYPE.publish:
      return judgePublish(first_byte, body);
    case TYPE.subscribe:
      return judgeFilters(body, true);
    case TYPE.unsubscribe:
      return judgeFilters(body, false);
    case TYPE.pingreq:
    case TYPE.disconnect:
      return body.length === 0 ? null : 'length';
    default:
      return body.length === 2 ? judgePacketId(body, 0) : 'length';
  }
}
