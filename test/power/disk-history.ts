/** What a process did to the files of one directory, as a list: read from strace's record, nothing else is believed. */
import assert from 'node:assert/strict';

export type DiskStep =
  | { step: 'create'; path: string; inode: number }
  | { step: 'write'; inode: number; offset: number; bytes: Buffer }
  | { step: 'truncate'; inode: number; size: number }
  | { step: 'sync'; inode: number }
  | { step: 'rename'; from: string; to: string }
  | { step: 'unlink'; path: string }
  | { step: 'syncDirectory'; path: string }
  /** The process said this on its standard output. */
  | { step: 'said'; text: string };

/** Everything that can change a file or make it durable; one the reader below does not know stops the test. */
export const TRACED_CALLS =
  'open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,' +
  'rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync,sync_file_range,dup,dup2,dup3,fcntl,close';

interface OpenFile {
  kind: 'file' | 'directory';
  path: string;
  inode: number;
  position: number;
}

const CALL = /^(\w+)\((.*)\)\s+= (-?\d+|\?)/s;

/** One call a line, in the order of completion: strace splits a call when another thread's comes between. */
function* wholeCalls(text: string): Generator<{ name: string; args: string; result: number }> {
  const begun = new Map<string, string>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    const thread = line.slice(0, space);
    let call = line.slice(space).trimStart();
    if (call.endsWith('<unfinished ...>')) {
      begun.set(thread, call.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(call);
    if (resumed) call = (begun.get(thread) ?? '') + call.slice(resumed[0].length);
    const match = CALL.exec(call);
    if (match?.[1] !== undefined && match[2] !== undefined && match[3] !== '?')
      yield { name: match[1], args: match[2], result: Number(match[3]) };
  }
}

/** Strings come as \x2f\x74…: nothing in them can be mistaken for syntax. */
function unescape(text: string): Buffer {
  assert(text.startsWith('"') && text.endsWith('"'), 'strace cut a string short');
  return Buffer.from(text.slice(1, -1).replaceAll('\\x', ''), 'hex');
}
const splitArguments = (args: string) => args.split(', ');

class HistoryReader {
  readonly #directory: string;
  readonly #names = new Map<string, number>();
  readonly #open = new Map<number, OpenFile>();
  #inodes = 0;
  readonly steps: DiskStep[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  #inside(text: string | undefined): string | null {
    const path = unescape(text ?? '""').toString();
    if (path !== this.#directory && !path.startsWith(`${this.#directory}/`)) return null;
    return path.slice(this.#directory.length + 1);
  }

  #opened(path_text: string | undefined, flags: string, fd: number): void {
    this.#open.delete(fd);
    const path = this.#inside(path_text);
    if (path === null || path.endsWith('-shm')) return; // the shared memory is rebuilt at every open
    let inode = this.#names.get(path);
    if (inode === undefined && flags.includes('O_CREAT')) {
      inode = this.#inodes += 1;
      this.#names.set(path, inode);
      this.steps.push({ step: 'create', path, inode });
    } else if (inode !== undefined && flags.includes('O_TRUNC')) {
      this.steps.push({ step: 'truncate', inode, size: 0 });
    }
    const kind = inode === undefined ? 'directory' : 'file';
    this.#open.set(fd, { kind, path, inode: inode ?? 0, position: 0 });
  }

  #wrote(fd: number, bytes_text: string | undefined, count: number, at: number | null): void {
    if (fd === 1) {
      this.steps.push({ step: 'said', text: unescape(bytes_text ?? '""').toString() });
      return;
    }
    const file = this.#open.get(fd);
    if (!file) return;
    const offset = at ?? file.position;
    if (at === null) file.position += count;
    const bytes = unescape(bytes_text ?? '""').subarray(0, count);
    assert.equal(bytes.length, count, 'strace cut a write short');
    this.steps.push({ step: 'write', inode: file.inode, offset, bytes });
  }

  #synced(fd: number): void {
    const file = this.#open.get(fd);
    if (!file) return;
    if (file.kind === 'directory') this.steps.push({ step: 'syncDirectory', path: file.path });
    else this.steps.push({ step: 'sync', inode: file.inode });
  }

  #renamed(from_text: string | undefined, to_text: string | undefined): void {
    const [from, to] = [this.#inside(from_text), this.#inside(to_text)];
    if (from === null && to === null) return;
    assert(from !== null && to !== null, 'a rename across the border of the directory');
    const inode = this.#names.get(from);
    assert(inode !== undefined, `renamed but never created: ${from}`);
    this.#names.delete(from);
    this.#names.set(to, inode);
    this.steps.push({ step: 'rename', from, to });
  }

  #unlinked(path_text: string | undefined): void {
    const path = this.#inside(path_text);
    if (path !== null && this.#names.delete(path)) this.steps.push({ step: 'unlink', path });
  }

  read(name: string, args: string, result: number): void {
    if (result < 0) return;
    const part = splitArguments(args);
    const fd = Number(part[0]);
    if (name === 'openat') return this.#opened(part[1], part[2] ?? '', result);
    if (name === 'open') return this.#opened(part[0], part[1] ?? '', result);
    if (name === 'pwrite64') return this.#wrote(fd, part[1], result, Number(part[3]));
    if (name === 'write') return this.#wrote(fd, part[1], result, null);
    if (name === 'fsync' || name === 'fdatasync') return this.#synced(fd);
    if (name === 'rename') return this.#renamed(part[0], part[1]);
    if (name === 'renameat' || name === 'renameat2') return this.#renamed(part[1], part[3]);
    if (name === 'unlink') return this.#unlinked(part[0]);
    if (name === 'unlinkat') return this.#unlinked(part[1]);
    if (name === 'close') return void this.#open.delete(fd);
    const file = this.#open.get(fd);
    if (name === 'ftruncate' && file)
      return void this.steps.push({ step: 'truncate', inode: file.inode, size: Number(part[1]) });
    if (name === 'fcntl' && !args.includes('F_DUPFD')) return;
    assert(file === undefined, `the disk's history does not know ${name}`);
  }
}

/** Reads what `strace -f -xx -s MANY -e trace=TRACED_CALLS` wrote, as far as it concerns `directory`. */
export function readDiskHistory(strace_text: string, directory: string): DiskStep[] {
  const reader = new HistoryReader(directory);
  for (const { name, args, result } of wholeCalls(strace_text)) reader.read(name, args, result);
  return reader.steps;
}
