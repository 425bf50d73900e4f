/** P-256 public keys as COSE_Key (RFC 9053 §7.1.1) with a compressed point, and as a 33-byte SEC 1 point. */
import { encodeCbor, isBytes, mapValues } from './cbor.ts';

const KTY = 1;
const EC2 = 2;
const CRV = -1;
const P256 = 1;
const X = -2;
const Y = -3;
export const COORDINATE_BYTES = 32;

/** A point of P-256. That it lies on the curve is checked where it is imported as a key. */
export interface P256Point {
  /** 32 bytes, big endian. */
  x: Uint8Array;
  /** The sign bit of y. */
  y_odd: boolean;
}

/** `{ 1: 2, -1: 1, -2: x, -3: y sign }`, as a map to be encoded. */
export function coseKeyMap(point: P256Point): Map<number, unknown> {
  return new Map<number, unknown>([
    [KTY, EC2],
    [CRV, P256],
    [X, point.x],
    [Y, point.y_odd],
  ]);
}

export function readCoseKey(value: unknown): P256Point | null {
  const [kty, crv, x, y_odd] = mapValues(value, [KTY, CRV, X, Y]) ?? [];
  if (kty !== EC2 || crv !== P256 || !isBytes(x, COORDINATE_BYTES) || typeof y_odd !== 'boolean')
    return null;
  return { x, y_odd };
}

/** What RFC 9679 §4 hashes: required parameters only, y in full. */
export function thumbprintInput(x: Uint8Array, y: Uint8Array): Uint8Array {
  return encodeCbor(
    new Map<number, unknown>([
      [KTY, EC2],
      [CRV, P256],
      [X, x],
      [Y, y],
    ]),
  );
}

/** SEC 1 §2.3.3, compressed: 02 or 03, then x. */
export function pointToSec1(point: P256Point): Uint8Array {
  return Uint8Array.from([point.y_odd ? 3 : 2, ...point.x]);
}

/** `null` unless 33 bytes beginning with 02 or 03. */
export function pointFromSec1(bytes: Uint8Array): P256Point | null {
  const head = bytes[0];
  if (bytes.length !== COORDINATE_BYTES + 1 || (head !== 2 && head !== 3)) return null;
  return { x: new Uint8Array(bytes.subarray(1)), y_odd: head === 3 };
}
