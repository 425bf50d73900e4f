/** The outbox's database file: how it is opened, what stands in it, and every SQL statement on it. */
import { existsSync, statSync } from 'node:fs';
import { EPOCH_ID } from '@waystation/protocol/records';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import assert from 'node:assert/strict';
import type { Stream } from '@waystation/protocol/topics';
import type { ChainHash } from '@waystation/runtime/hash-chain';
import { Fault } from '@waystation/runtime/fault';

/**
 * A record's key is its stream's id and its sequence number in one rowid. Measured against a WITHOUT ROWID table of
 * (stream, seq), whose rows spill onto overflow pages: 6.6 instead of 11.0 kB written for an event of 200 bytes.
 */
const SEQ_LIMIT = 2 ** 36;
const STREAM_LIMIT = 2 ** 17;

const SCHEMA_VERSION = 1;
const SCHEMA = `
CREATE TABLE stream(
  id INTEGER PRIMARY KEY, station TEXT NOT NULL, stream TEXT NOT NULL, epoch TEXT NOT NULL,
  acked INTEGER NOT NULL, acked_hash BLOB NOT NULL, UNIQUE(station, stream)) STRICT;
CREATE TABLE record(key INTEGER PRIMARY KEY, span INTEGER NOT NULL, hash BLOB, body TEXT NOT NULL) STRICT;
CREATE TABLE boot_offset(boot TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL, noted_at INTEGER NOT NULL) STRICT;
CREATE TABLE entry(
  name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER, touched INTEGER NOT NULL,
  PRIMARY KEY(name, key)) STRICT, WITHOUT ROWID;
CREATE INDEX entry_age ON entry(name, touched);
`;
const BOOT_OFFSETS_MAX = 64;
/** A larger file is not checked whole at every start: that would cost seconds; damage still shows when it is read. */
const CHECK_BYTES_MAX = 64 * 1024 * 1024;

/** Where one stream of one station stands. Everything up to `acked` is the cloud's; `head` is the newest committed. */
export interface Lane {
  id: number;
  epoch: string;
  acked: number;
  head: number;
  /** Chain hash of record `head`. */
  head_hash: ChainHash;
}

/** A stored record; it covers `seq` to `seq + span - 1`. */
export interface Row {
  seq: number;
  span: number;
  hash: ChainHash | null;
  body: string;
}

export interface Entry {
  value: string;
  expires_at: number | null;
}

export type SqliteTrouble = 'corrupt' | 'refused' | 'locked' | 'other';

/** What an error of SQLite means here (https://sqlite.org/rescode.html). */
export function troubleOf(error: unknown): SqliteTrouble {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return 'other';
  const primary = error.errcode & 0xff;
  if (primary === 11 || primary === 26) return 'corrupt'; // CORRUPT, NOTADB
  if (primary === 13 || primary === 10 || primary === 8) return 'refused'; // FULL, IOERR, READONLY
  return primary === 5 ? 'locked' : 'other';
}

/** Raised when rows contradict each other: SQLite has no checksums, so a flipped bit shows only here. */
export class DamagedRow extends Error {}

function configure(db: DatabaseSync, size_limit_bytes: number): void {
  db.exec(
    'PRAGMA page_size=1024; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL',
  );
  db.exec(
    'PRAGMA journal_size_limit=262144; PRAGMA wal_autocheckpoint=256; PRAGMA cache_size=-512; PRAGMA busy_timeout=2000',
  );
  db.exec(`PRAGMA max_page_count=${Math.max(256, Math.ceil(size_limit_bytes / 1024))}`);
}

function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

function prepareSchema(db: DatabaseSync, check: boolean): void {
  const version = pragma(db, 'user_version');
  if (version === SCHEMA_VERSION) {
    if (check && pragma(db, 'quick_check(1)') !== 'ok')
      throw new DamagedRow('quick_check found damage');
    return;
  }
  if (version !== 0) throw new DamagedRow(`a file of another version (${String(version)})`);
  db.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA user_version=${SCHEMA_VERSION}; COMMIT`);
}

/** Opens or creates the file. Throws what SQLite throws, DamagedRow, or Fault DATABASE_LOCKED. */
export function openOutboxFile(
  path: string,
  size_limit_bytes: number,
  trust: 'checked' | 'unchecked' = 'checked',
): OutboxFile {
  for (const each of [path, `${path}-wal`])
    if (existsSync(each) && !statSync(each).isFile()) throw new DamagedRow(`${each} is no file`);
  const check = trust === 'checked' && existsSync(path) && statSync(path).size <= CHECK_BYTES_MAX;
  const db = new DatabaseSync(path);
  try {
    configure(db, size_limit_bytes);
    prepareSchema(db, check);
    return new OutboxFile(db);
  } catch (error) {
    db.close();
    if (troubleOf(error) === 'locked') throw new Fault('DATABASE_LOCKED', { path }, error);
    throw error;
  }
}

/** The same on a database in memory, which outlives the store: simulations restart a station on it. */
export function outboxFileOn(db: DatabaseSync): OutboxFile {
  prepareSchema(db, false);
  return new OutboxFile(db);
}

function hashBytes(hash: ChainHash | null): Buffer | null {
  return hash === null ? null : Buffer.from(hash, 'hex');
}
function hashText(bytes: unknown): ChainHash | null {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('hex') : null;
}
function rowKey(lane_id: number, seq: number): number {
  assert(seq >= 0 && seq < SEQ_LIMIT, `sequence number out of range: ${seq}`);
  return lane_id * SEQ_LIMIT + seq;
}
function toRow(raw: Record<string, unknown>): Row {
  return {
    seq: Number(raw['key']) % SEQ_LIMIT,
    span: Number(raw['span']),
    hash: hashText(raw['hash']),
    body: String(raw['body']),
  };
}

export class OutboxFile {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.#db.prepare(text)));
    return statement;
  }

  /** Commits with one fsync, or leaves nothing. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK'); // a full disk may have rolled back already
      throw error;
    }
  }

  loadLane(station: string, stream: Stream): Lane | null {
    const row = this.#sql(
      'SELECT id, epoch, acked, acked_hash FROM stream WHERE station=? AND stream=?',
    ).get(station, stream);
    if (!row) return null;
    const lane = {
      id: Number(row['id']),
      epoch: String(row['epoch']),
      acked: Number(row['acked']),
    };
    if (!EPOCH_ID.test(lane.epoch)) throw new DamagedRow(`no epoch: ${lane.epoch}`);
    const newest = this.#sql(
      'SELECT key, span, hash, body FROM record WHERE key>? AND key<? ORDER BY key DESC LIMIT 1',
    ).get(rowKey(lane.id, 0), rowKey(lane.id + 1, 0));
    if (!newest) return { ...lane, head: lane.acked, head_hash: hashText(row['acked_hash']) ?? '' };
    const last = toRow(newest);
    return { ...lane, head: last.seq + last.span - 1, head_hash: last.hash ?? '' };
  }

  createLane(station: string, stream: Stream, epoch: string, start_hash: ChainHash): Lane {
    const id = this.#freeLaneId();
    const insert =
      'INSERT INTO stream(id, station, stream, epoch, acked, acked_hash) VALUES(?,?,?,?,0,?)';
    this.#sql(insert).run(id, station, stream, epoch, hashBytes(start_hash));
    return { id, epoch, acked: 0, head: 0, head_hash: start_hash };
  }

  /** Begins a new epoch of the stream; the records stay under the old id until they are moved. */
  replaceLane(old: Lane, epoch: string, start_hash: ChainHash): Lane {
    const id = this.#freeLaneId();
    const update = 'UPDATE stream SET id=?, epoch=?, acked=0, acked_hash=? WHERE id=?';
    this.#sql(update).run(id, epoch, hashBytes(start_hash), old.id);
    return { id, epoch, acked: 0, head: 0, head_hash: start_hash };
  }

  #freeLaneId(): number {
    const id = Number(this.#sql('SELECT coalesce(max(id), 0) + 1 AS id FROM stream').get()?.['id']);
    assert(id < STREAM_LIMIT, 'too many streams in one outbox file');
    return id;
  }

  /** Moves every record of one stream id under another, shifting the sequence numbers down. */
  moveRecords(from: Lane, to_id: number): void {
    const shift = rowKey(to_id, 0) - rowKey(from.id, 0) - from.acked;
    this.#sql(
      'UPDATE record SET key = max(key + ?1, ?2), span = span - max(?2 - key - ?1, 0) WHERE key>?3 AND key<?4',
    ).run(shift, rowKey(to_id, 1), rowKey(from.id, 0), rowKey(from.id + 1, 0));
  }

  insert(lane_id: number, row: Row): void {
    this.#sql('INSERT INTO record(key, span, hash, body) VALUES(?,?,?,?)').run(
      rowKey(lane_id, row.seq),
      row.span,
      hashBytes(row.hash),
      row.body,
    );
  }

  delete(lane_id: number, from_seq: number, to_seq: number): void {
    this.#sql('DELETE FROM record WHERE key>=? AND key<=?').run(
      rowKey(lane_id, from_seq),
      rowKey(lane_id, to_seq),
    );
  }

  /** Trims; a record that reaches beyond `through` stays. */
  acknowledge(lane: Lane, through: number, hash: ChainHash): void {
    this.#sql('UPDATE stream SET acked=?, acked_hash=? WHERE id=?').run(
      through,
      hashBytes(hash),
      lane.id,
    );
    this.#sql('DELETE FROM record WHERE key>? AND key<=? AND (key % ?) + span - 1 <= ?').run(
      rowKey(lane.id, 0),
      rowKey(lane.id, through),
      SEQ_LIMIT,
      through,
    );
  }

  /** Rows from the one that covers `seq` on, oldest first. */
  rowsFrom(lane_id: number, seq: number, limit: number): Row[] {
    const select = `SELECT key, span, hash, body FROM record WHERE key>=(
        SELECT coalesce(max(key), ?2) FROM record WHERE key>?1 AND key<=?2) AND key<?3 ORDER BY key LIMIT ?4`;
    const rows = this.#sql(select).all(
      rowKey(lane_id, 0),
      rowKey(lane_id, seq),
      rowKey(lane_id + 1, 0),
      limit,
    );
    return rows.map(toRow);
  }

  /** Chain hash of record `seq` of the event stream, the acknowledged one included. */
  hashAt(lane_id: number, seq: number): ChainHash | null {
    const row = this.#sql('SELECT hash FROM record WHERE key=?').get(rowKey(lane_id, seq));
    if (row) return hashText(row['hash']);
    const stream = this.#sql('SELECT acked_hash FROM stream WHERE id=? AND acked=?').get(
      lane_id,
      seq,
    );
    return stream ? hashText(stream['acked_hash']) : null;
  }

  /** The station that keeps the most samples. */
  longestSampleStation(): string | null {
    const count = `(SELECT count(*) FROM record WHERE key>stream.id*${SEQ_LIMIT} AND key<(stream.id+1)*${SEQ_LIMIT})`;
    const row = this.#sql(
      `SELECT station FROM stream WHERE stream='sample' ORDER BY ${count} DESC LIMIT 1`,
    ).get();
    return row ? String(row['station']) : null;
  }

  noteOffset(boot: string, offset_ms: number, now: number): void {
    this.#sql('INSERT OR REPLACE INTO boot_offset(boot, offset_ms, noted_at) VALUES(?,?,?)').run(
      boot,
      offset_ms,
      now,
    );
    const forget =
      'DELETE FROM boot_offset WHERE boot NOT IN (SELECT boot FROM boot_offset ORDER BY rowid DESC LIMIT ?)';
    this.#sql(forget).run(BOOT_OFFSETS_MAX);
  }

  offsets(): Map<string, number> {
    const rows = this.#sql('SELECT boot, offset_ms FROM boot_offset').all();
    return new Map(rows.map((row) => [String(row['boot']), Number(row['offset_ms'])]));
  }

  entry(name: string, key: string): Entry | null {
    const row = this.#sql('SELECT value, expires_at FROM entry WHERE name=? AND key=?').get(
      name,
      key,
    );
    if (!row) return null;
    return {
      value: String(row['value']),
      expires_at: row['expires_at'] === null ? null : Number(row['expires_at']),
    };
  }

  entries(name: string): [key: string, entry: Entry][] {
    const rows = this.#sql(
      'SELECT key, value, expires_at FROM entry WHERE name=? ORDER BY touched',
    ).all(name);
    return rows.map((row) => [
      String(row['key']),
      {
        value: String(row['value']),
        expires_at: row['expires_at'] === null ? null : Number(row['expires_at']),
      },
    ]);
  }

  tableNames(): string[] {
    return this.#sql('SELECT DISTINCT name FROM entry')
      .all()
      .map((row) => String(row['name']));
  }

  putEntry(name: string, key: string, entry: Entry | null): void {
    if (entry === null) {
      this.#sql('DELETE FROM entry WHERE name=? AND key=?').run(name, key);
      return;
    }
    const touched = '(SELECT coalesce(max(touched), 0) + 1 FROM entry WHERE name=?1)';
    this.#sql(
      `INSERT OR REPLACE INTO entry(name, key, value, expires_at, touched) VALUES(?1,?2,?3,?4,${touched})`,
    ).run(name, key, entry.value, entry.expires_at);
  }

  /** Drops what expired before `now` and, beyond `rows_max`, the longest untouched. Returns how many went. */
  pruneEntries(name: string, rows_max: number, now: number): number {
    const expired = this.#sql('DELETE FROM entry WHERE name=? AND expires_at<=?').run(
      name,
      now,
    ).changes;
    const oldest =
      'DELETE FROM entry WHERE name=?1 AND key IN (SELECT key FROM entry WHERE name=?1 ORDER BY touched DESC LIMIT -1 OFFSET ?2)';
    return Number(expired) + Number(this.#sql(oldest).run(name, rows_max).changes);
  }

  /** Bytes in use inside the file; pages freed by trimming count as free. */
  usedBytes(): number {
    const pages = Number(this.#sql('PRAGMA page_count').get()?.['page_count']);
    return (pages - Number(this.#sql('PRAGMA freelist_count').get()?.['freelist_count'])) * 1024;
  }

  /** Gives the write-ahead log's space back to the file system. */
  checkpoint(): void {
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }
}
