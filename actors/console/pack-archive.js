// The archive form of a pack: POSIX ustar, written in one way, and read only where it was written so.

import { bytes, hex, sameBytes } from "./bytes.js";
import { Sha256 } from "./pack-digest.js";
import { MAX_RECORD, need, read } from "./pack-exact.js";

const BLOCK = 512;

/** Largest pack that a browser looks at: what is kept of each call has to fit beside the page (T4). `helm verify` takes larger ones. */
export const MAX_BYTES = 1024 ** 3;

/** Most members of one pack (T4). */
export const MAX_MEMBERS = 1_000_000;

/** Largest single member (T4). */
export const MAX_MEMBER_BYTES = 512 * 1024 ** 2;

/** Most lines of one shard, and the size with which it ends, where that comes first. */
const SHARD_LINES = 1024;
const SHARD_BYTES = 16 * 1024 ** 2;

/** Largest shard: one that had nearly its size, and got the longest line. */
const MAX_SHARD_BYTES = 2 * SHARD_BYTES;

/** How much of a file is hashed at once. */
const PIECE = 1024 * 1024;

const PLAIN_PATH = /^[a-z0-9][a-z0-9_.-]*(?:\/[a-z0-9][a-z0-9_.-]*)*$/;
const ZEROS = new Uint8Array(BLOCK);
const ASCII = new TextDecoder("ascii");

/** Everything in a header that is the same for every file: owner, no time, regular, no link, ustar. */
const FIXED = [[108, "0000000\0".repeat(2)], [136, "00000000000\0"], [148, " ".repeat(8)], [156, "0"], [257, "ustar\x0000"], [265, "root"], [297, "root"]];
const TEMPLATE = new Uint8Array(BLOCK);
for (const [at, text] of FIXED) TEMPLATE.set(bytes(text), at);

/** Return the one header of a file (tar(5)). */
function header(path, size) {
  const found = TEMPLATE.slice();
  found.set(bytes(path), 0);
  found.set(bytes(path.endsWith(".py") ? "0000755\0" : "0000644\0"), 100);
  found.set(bytes(`${size.toString(8).padStart(11, "0")}\0`), 124);
  const sum = found.reduce((total, one) => total + one, 0);
  found.set(bytes(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return found;
}

/** The files of a pack by path, in order. What is in them stays on the disk until it is asked for. */
export class Files {
  constructor(source) {
    this.source = source;
    this.places = new Map();
  }

  get paths() {
    return this.places.keys();
  }

  has(path) {
    return this.places.has(path);
  }

  sizeOf(path) {
    return this.places.get(path)?.[1];
  }

  /** Return a whole file, undefined where there is none. Throws Refused for one that is too long to be one record. */
  get(path, most = MAX_RECORD) {
    const place = this.places.get(path);
    if (place === undefined) return undefined;
    need(place[1] <= most, `${path}: is too long for one record`);
    return this.source.bytes(place[0], place[0] + place[1]);
  }

  read(path) {
    return read(this.get(path), path);
  }

  /** Return the hash of a whole file, yielding `part` now and then. */
  *hash(path, part = 0) {
    const [start, size] = this.places.get(path), sum = new Sha256();
    for (let at = 0; at < size; at += PIECE) {
      sum.update(this.source.bytes(start + at, start + Math.min(size, at + PIECE)));
      yield part;
    }
    return `sha256:${hex(sum.digest())}`;
  }

  /** Yield the lines of a file: {raw, start, where}. Throws Refused where the last one is cut off. */
  *lines(path) {
    const [begins, size] = this.places.get(path), ends = begins + size;
    for (let start = begins, number = 1; start < ends; number += 1) {
      const where = `${path} line ${number}`, end = this.endOfLine(start, ends, where);
      yield { raw: this.source.bytes(start, end), start, where };
      start = end + 1;
    }
  }

  endOfLine(start, ends, where) {
    const end = this.source.find(10, start, Math.min(ends, start + MAX_RECORD));
    need(end >= 0, `${where}: is cut off, or too long for one record`);
    return end;
  }

  /** Yield the lines of all shards of a folder, and refuse every cut but the one that HELM makes. */
  *shards(folder) {
    for (let number = 0, more = true; ; number += 1) {
      const path = `${folder}/${String(number).padStart(6, "0")}.jsonl`;
      if (!this.has(path)) return;
      const size = this.sizeOf(path);
      need(more, `${path}: stands behind a shard that was not full`);
      need(size > 0 && size <= MAX_SHARD_BYTES, `${path}: is empty, or larger than a shard can be`);
      let count = 0, had = 0;
      for (const line of this.lines(path)) {
        need(count < SHARD_LINES && had < SHARD_BYTES, `${path}: goes on behind its last line`);
        count += 1;
        had += line.raw.length + 1;
        yield line;
      }
      more = count === SHARD_LINES || had >= SHARD_BYTES;
    }
  }
}

/** Find every file of an archive. Throws Refused for any other form. */
export function* filesIn(source) {
  const files = new Files(source);
  let offset = 0, before = "";
  for (;;) {
    const found = source.bytes(offset, offset + BLOCK);
    if (sameBytes(found, ZEROS)) break;
    need(found.length === BLOCK, `byte ${offset}: the archive is cut off`);
    const [path, size] = readHeader(found, offset, before);
    const start = offset + BLOCK, end = start + size;
    offset = end + ((BLOCK - (size % BLOCK)) % BLOCK);
    const padding = source.bytes(end, offset);
    need(padding.length === offset - end && padding.every((one) => one === 0), `byte ${end}: ${path} is cut off, or something stands behind it`);
    files.places.set(path, [start, size]);
    need(files.places.size <= MAX_MEMBERS, `more than ${MAX_MEMBERS} members`);
    before = path;
    yield offset / source.size;
  }
  const end = source.bytes(offset, offset + 2 * BLOCK + 1);
  need(end.length === 2 * BLOCK && end.every((one) => one === 0), `byte ${offset}: the archive ends early, or goes on behind its end`);
  return files;
}

function readHeader(found, offset, before) {
  const path = ASCII.decode(found.subarray(0, 100)).replace(/\0+$/, ""), digits = ASCII.decode(found.subarray(124, 135)), size = parseInt(digits, 8);
  need(/^[0-7]{11}$/.test(digits) && PLAIN_PATH.test(path), `byte ${offset}: no plain path, or no octal size: is it a pack?`);
  need(path > before, `${path}: stands twice, or not in order`);
  need(size <= MAX_MEMBER_BYTES, `${path}: has more than ${MAX_MEMBER_BYTES} bytes`);
  need(sameBytes(found, header(path, size)), `${path}: not the one form of a header`);
  return [path, size];
}

