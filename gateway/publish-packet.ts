/** A PUBLISH at QoS 0 as one string of bytes: it needs no packet identifier, so it needs nobody's bookkeeping. */

/**
 * MQTT 3.1.1, 3.3: fixed header 0x30, remaining length, topic with its length, payload.
 * `topic` and `payload` are ASCII; write the result as 'latin1', in one call and one system call.
 */
export function publishQos0(topic: string, payload: string): string {
  let length = 2 + topic.length + payload.length;
  let packet = '\x30';
  for (; length > 127; length = Math.floor(length / 128)) {
    packet += String.fromCharCode((length % 128) | 0x80);
  }
  packet += String.fromCharCode(length, topic.length >> 8, topic.length & 0xff);
  return packet + topic + payload;
}
