// A file of any size, a block at a time: what is read of it is let go again.

import { hex } from "./bytes.js";
import { digest } from "./pack-digest.js";
import { need } from "./pack-exact.js";

/** How much is read at once. */
const BLOCK = 1024 * 1024;

/** Largest file of which every block is kept, and so read once. */
const HELD_BYTES = 256 * 1024 * 1024;

/** How many blocks of a larger one are kept: one for each place that a verification reads from at the same time, and some. */
const KEPT = 12;

export class Source {
  /** `readAt(start, end)` returns bytes at once: FileReaderSync in a worker, a slice of memory elsewhere. */
  constructor(size, readAt) {
    this.size = size;
    this.readAt = readAt;
    this.blocks = new Map();
    this.hashes = new Map();
    this.kept = size <= HELD_BYTES ? Infinity : KEPT;
  }

  static ofBytes(raw) {
    return new Source(raw.length, (start, end) => raw.subarray(start, end));
  }

  /** Of a File or Blob, in a worker. */
  static ofFile(file) {
    const reader = new FileReaderSync();
    return new Source(file.size, (start, end) => new Uint8Array(reader.readAsArrayBuffer(file.slice(start, end))));
  }

  /** Return these bytes: fewer where the file ends. They stay what they are until the caller comes back. */
  bytes(start, end) {
    const last = Math.min(end, this.size), number = Math.floor(start / BLOCK);
    if (start >= last) return new Uint8Array(0);
    if (last <= (number + 1) * BLOCK) return this.block(number).subarray(start - number * BLOCK, last - number * BLOCK);
    const found = new Uint8Array(last - start);
    for (let at = start; at < last;) {
      const of = Math.floor(at / BLOCK), until = Math.min(last, (of + 1) * BLOCK);
      found.set(this.block(of).subarray(at - of * BLOCK, until - of * BLOCK), at - start);
      at = until;
    }
    return found;
  }

  /** Return where a byte stands first from `start` on, -1 where it does not before `end`. */
  find(byte, start, end) {
    for (let at = start; at < end;) {
      const until = Math.min(end, (Math.floor(at / BLOCK) + 1) * BLOCK), found = this.bytes(at, until).indexOf(byte);
      if (found >= 0) return at + found;
      at = until;
    }
    return -1;
  }

  /** Return a block. One that is read again must be what it was: whoever writes to the file meanwhile is not believed (T5). */
  block(number) {
    let found = this.blocks.get(number);
    if (found === undefined) {
      found = this.readAt(number * BLOCK, Math.min(this.size, (number + 1) * BLOCK));
      this.checkUnchanged(number, found);
      if (this.blocks.size >= this.kept) this.blocks.delete(this.blocks.keys().next().value);
    } else if (this.kept === KEPT) {
      this.blocks.delete(number); // and stands as the latest again
    }
    this.blocks.set(number, found);
    return found;
  }

  checkUnchanged(number, found) {
    if (this.kept !== KEPT) return;
    const hash = hex(digest(found));
    need(hash === (this.hashes.get(number) ?? hash), "the file was changed while it was read");
    this.hashes.set(number, hash);
  }
}
