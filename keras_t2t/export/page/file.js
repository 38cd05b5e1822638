// Removes from a file, before it is decoded, what browsers treat differently from Pillow:
// transparency, where the format stores it separately; the animation of a PNG, whose first
// frame may not be the main image; and EXIF data, by which browsers turn some formats and not
// others, whatever the options. Truncated files are refused, whatever the browser would do.

// Its message is what the page says about a file that it cannot answer for.
export class Unreadable extends Error {}

const FORMATS = [
  { magic: [0x89, 0x50, 0x4e, 0x47], read: png },
  { magic: [0xff, 0xd8, 0xff], read: jpeg },
  { magic: [0x47, 0x49, 0x46, 0x38], read: gif },
  { magic: [0x52, 0x49, 0x46, 0x46], read: webp },
];

// { blob, orientation }: the orientation is EXIF's, 1 to 8.
export async function asPillowSees(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const format = FORMATS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
  if (!format) return { blob, orientation: 1 };
  const found = format.read(bytes);
  if (!found) throw new Unreadable("This file is cut off: its end is missing.");
  const orientation = found.exif ? orientationAt(bytes, found.exif) : 1;
  return { blob: new Blob(found.parts, { type: blob.type }), orientation };
}

// Each of these returns { parts, exif }: the bytes to keep, and where EXIF data begins in
// `bytes`, if anywhere; null if the file ends too early.

function png(bytes) {
  const view = new DataView(bytes.buffer);
  const parts = [bytes.subarray(0, 8)];
  let exif = null;
  let pixels = false;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at);
    const kind = text(bytes, at + 4, 4);
    if (end > bytes.length) return null;
    if (!["tRNS", "acTL", "eXIf"].includes(kind)) parts.push(bytes.subarray(at, end));
    if (kind === "eXIf" && !pixels) exif ??= at + 8;
    if (kind === "IDAT") pixels = true;
    if (kind === "IEND") return { parts, exif };
    at = end;
  }
  return null;
}

function jpeg(bytes) {
  let exif = null;
  for (let at = 2; at + 1 < bytes.length; ) {
    const marker = bytes[at] === 0xff ? bytes[at + 1] : 0;
    if (marker === 0xd9) return { parts: [bytes], exif };
    if (marker === 0xe1 && text(bytes, at + 4, 6) === "Exif\0\0") {
      exif ??= at + 10;
      bytes[at + 4] = 0; // so that the browser ignores the segment
    }
    if (marker === 0 || marker === 0xff) at += 1; // within a scan, or padding
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else at += 2 + 256 * bytes[at + 2] + bytes[at + 3]; // NaN at the end ends the loop
  }
  return null;
}

function webp(bytes) {
  const view = new DataView(bytes.buffer);
  let exif = null;
  for (let at = 12; text(bytes, 8, 8) === "WEBPVP8X" && at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (text(bytes, at, 4) === "EXIF") {
      exif ??= at + (text(bytes, at + 8, 6) === "Exif\0\0" ? 14 : 8);
      bytes[at] = 0x5f; // so that the browser ignores the chunk
    }
    at += 8 + length + (length % 2);
  }
  return { parts: [bytes], exif };
}

function gif(bytes) {
  const table = (packed) => (packed & 0x80 ? 3 << ((packed & 7) + 1) : 0);
  const two = (at) => bytes[at] + 256 * bytes[at + 1];
  let at = 13 + table(bytes[10]);
  while (at < bytes.length) {
    const isPicture = bytes[at] === 0x2c;
    if (isPicture) {
      if (two(at + 5) < two(6) || two(at + 7) < two(8)) {
        throw new Unreadable(
          "The first frame of this GIF covers only part of it. Save it as a PNG.",
        );
      }
      at += 11 + table(bytes[at + 9]);
    } else if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9) bytes[at + 3] &= 0xfe; // no transparent index
      at += 2;
    } else {
      return null;
    }
    while (bytes[at]) at += 1 + bytes[at];
    at += 1;
    if (isPicture) return at <= bytes.length ? { parts: [bytes] } : null;
  }
  return null;
}

// From the first directory of the EXIF data, which is a TIFF; damaged data means upright.
function orientationAt(bytes, place) {
  const view = new DataView(bytes.buffer, place);
  const order = text(bytes, place, 4);
  if (order !== "II*\0" && order !== "MM\0*") return 1;
  const little = order === "II*\0";
  try {
    const directory = view.getUint32(4, little);
    const count = view.getUint16(directory, little);
    for (let entry = directory + 2; entry < directory + 2 + 12 * count; entry += 12) {
      if (view.getUint16(entry, little) !== 0x0112) continue;
      const read = { 1: "getUint8", 3: "getUint16", 4: "getUint32" }[view.getUint16(entry + 2, little)];
      const value = read ? view[read](entry + 8, little) : 1;
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
