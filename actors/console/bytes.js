// Bytes, as text names them and as others join them.

const UTF8 = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, one) => one.toString(16).padStart(2, "0"));

export function hex(bytes) {
  let text = "";
  for (const one of bytes) text += HEX[one];
  return text;
}

export function unhex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("expected lower-case hexadecimal digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Return texts and bytes as one run of bytes. */
export function bytes(...parts) {
  const whole = parts.map((part) => (typeof part === "string" ? UTF8.encode(part) : part));
  const joined = new Uint8Array(whole.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of whole) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function sameBytes(one, other) {
  if (one === undefined || one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}
