// What browsers see otherwise than Pillow is taken out of a file before it is decoded:
// transparency, as far as a format has it apart, and the animation of a PNG, whose first
// picture may not be the file's. So is the orientation where it is not to be followed:
// Chromium follows it whatever `imageOrientation` says. A file that is cut off is refused by all browsers alike.

// Its message is what the page says of a file that it gives no answer for.
export class Unreadable extends Error {}

const FORMATS = [
  { magic: [0x89, 0x50, 0x4e, 0x47], partsOf: pngParts },
  { magic: [0xff, 0xd8, 0xff], partsOf: jpegParts },
  { magic: [0x47, 0x49, 0x46, 0x38], partsOf: gifParts },
];

export async function asPillowSees(blob, upright) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const format = FORMATS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
  if (!format) return blob;
  const parts = format.partsOf(bytes, upright);
  if (!parts) throw new Unreadable("This file is cut off: its end is missing.");
  return new Blob(parts, { type: blob.type });
}

// Each of these gives what is kept of the bytes, null if they end too early.

function pngParts(bytes, upright) {
  const left = upright ? ["tRNS", "acTL"] : ["tRNS", "acTL", "eXIf"];
  const view = new DataView(bytes.buffer);
  const parts = [bytes.subarray(0, 8)];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (end > bytes.length) return null;
    if (!left.includes(kind)) parts.push(bytes.subarray(at, end));
    if (kind === "IEND") return parts;
    at = end;
  }
  return null;
}

function jpegParts(bytes, upright) {
  const parts = [];
  let from = 0;
  for (let at = 2; at + 1 < bytes.length; ) {
    const marker = bytes[at] === 0xff ? bytes[at + 1] : 0;
    if (marker === 0xd9) return [...parts, bytes.subarray(from)];
    if (marker === 0 || marker === 0xff) at += 1; // within a scan, or filling
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else {
      const next = at + 2 + 256 * bytes[at + 2] + bytes[at + 3]; // NaN ends the loop
      if (marker === 0xe1 && !upright) {
        parts.push(bytes.subarray(from, at));
        from = next;
      }
      at = next;
    }
  }
  return null;
}

function gifParts(bytes) {
  const table = (packed) => (packed & 0x80 ? 3 << ((packed & 7) + 1) : 0);
  const two = (at) => bytes[at] + 256 * bytes[at + 1];
  let at = 13 + table(bytes[10]);
  while (at < bytes.length) {
    const isPicture = bytes[at] === 0x2c;
    if (isPicture) {
      if (two(at + 5) < two(6) || two(at + 7) < two(8)) {
        throw new Unreadable("The first picture of this GIF covers only a part of it. Save it as a PNG.");
      }
      at += 11 + table(bytes[at + 9]);
    } else if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9) bytes[at + 3] &= 0xfe; // no index is transparent
      at += 2;
    } else {
      return null;
    }
    while (bytes[at]) at += 1 + bytes[at];
    at += 1;
    if (isPicture) return at <= bytes.length ? [bytes] : null;
  }
  return null;
}
