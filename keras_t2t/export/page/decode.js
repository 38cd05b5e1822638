// A file's pixels as Pillow gives them to the model: without colour conversion, and with the
// colours of transparent pixels.

// As in `worker.js`, not at the top.
const { Unreadable, asPillowSees } = await import("./file.js");

// The largest canvas side: on iOS a canvas of more than 16.7 megapixels is said to stay empty.
const SIDE = 4096;

// A PNG of two pixels (200, 100, 50), the first transparent, the second nearly so.
const CLEAR =
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAYAAAD0In+KAAAAD0lEQVR42mM4kWLEAMTMAA7kAsCx1km6AAAAAElFTkSuQmCC";

class NoPixels extends Error {}

// The result of `use` for a photograph { width, height, strips }, turned upright or as stored
// in the file. If the browser cannot hold it, `use` gets one that was shrunk while decoding.
export async function withPhotograph(file, upright, use) {
  const { blob, orientation } = await asPillowSees(file);
  let size = null;
  for (const shrink of [false, true]) {
    const bitmap = await decode(blob, shrink ? await smaller(blob, size) : {});
    if (!bitmap) continue;
    size = [bitmap.width, bitmap.height];
    try {
      return await use(photographOf(bitmap, upright ? orientation : 1));
    } catch (error) {
      if (!(error instanceof NoPixels)) throw error;
    } finally {
      bitmap.close();
    }
  }
  throw new Unreadable(
    "This browser cannot read this photograph's pixels: it is too large, or fully transparent.",
  );
}

// null if the browser cannot.
async function decode(blob, options) {
  try {
    return await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      ...options,
    });
  } catch {
    return null;
  }
}

// Options that decode to the size of one canvas, still many times the model's input.
async function smaller(blob, size) {
  const most = size ? 1 : Infinity;
  if (!size) {
    const sketch = await decode(blob, { resizeWidth: 256 });
    if (!sketch) throw new Unreadable("This is no image that the browser can read.");
    size = [sketch.width, sketch.height];
    sketch.close();
  }
  const factor = Math.min(most, SIDE / Math.sqrt(size[0] * size[1]));
  const [resizeWidth, resizeHeight] = size.map((side) => Math.max(1, Math.floor(side * factor)));
  return { resizeWidth, resizeHeight, resizeQuality: "high" };
}

// Which orientations swap rows and columns, then mirror sideways, then upside down.
const SWAPPED = [5, 6, 7, 8];
const SIDEWAYS = [2, 3, 6, 7];
const DOWN = [3, 4, 7, 8];

function photographOf(bitmap, orientation) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });

  async function tile(left, top, width, height) {
    canvas.width = width; // which also empties it
    canvas.height = height;
    context.drawImage(bitmap, -left, -top);
    const { data } = context.getImageData(0, 0, width, height);
    if (isOpaque(data)) return data;
    // A texture keeps the colours of transparent pixels, a canvas loses them.
    const colours =
      (await keepsColours()) && (await throughTexture(bitmap, left, top, width, height));
    if ((colours || data).every((value) => value === 0)) throw new NoPixels();
    if (!colours) {
      throw new Unreadable(
        "This image is partly transparent, and this browser hides the colours of transparent " +
          "pixels, which the model needs. Save it without transparency.",
      );
    }
    return colours;
  }

  const swapped = SWAPPED.includes(orientation);
  const sideways = SIDEWAYS.includes(orientation);
  const down = DOWN.includes(orientation);
  const seen = swapped ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];

  // A tile of the upright photograph, from its place in the stored one.
  async function turned(left, top, width, height) {
    if (orientation === 1) return tile(left, top, width, height);
    const x = sideways ? seen[0] - left - width : left;
    const y = down ? seen[1] - top - height : top;
    const stored = await (swapped ? tile(y, x, height, width) : tile(x, y, width, height));
    const from = new Uint32Array(stored.buffer);
    const to = new Uint32Array(from.length);
    for (let row = 0; row < height; row += 1) {
      const storedRow = down ? height - 1 - row : row;
      for (let column = 0; column < width; column += 1) {
        const storedColumn = sideways ? width - 1 - column : column;
        to[row * width + column] =
          from[swapped ? storedColumn * height + storedRow : storedRow * width + storedColumn];
      }
    }
    return new Uint8ClampedArray(to.buffer);
  }

  return {
    width: seen[0],
    height: seen[1],
    // The rows from `top` to `bottom`, some at a time, each from `left` to `right`.
    async *strips(left, top, right, bottom) {
      const width = right - left;
      const most = Math.min(SIDE, Math.max(1, Math.floor((SIDE * SIDE) / width)));
      for (let y = top; y < bottom; y += most) {
        const height = Math.min(most, bottom - y);
        const data = new Uint8ClampedArray(4 * width * height);
        for (let x = left; x < right; x += SIDE) {
          const across = Math.min(SIDE, right - x);
          const part = await turned(x, y, across, height);
          for (let row = 0; row < height; row += 1) {
            const pixels = part.subarray(4 * across * row, 4 * across * (row + 1));
            data.set(pixels, 4 * (row * width + x - left));
          }
        }
        yield { height, data };
      }
    },
  };
}

function isOpaque(data) {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

let kept = null;
function keepsColours() {
  kept ??= (async () => {
    const png = Uint8Array.from(atob(CLEAR), (letter) => letter.charCodeAt(0));
    const bitmap = await decode(new Blob([png], { type: "image/png" }), {});
    const data = bitmap && (await throughTexture(bitmap, 0, 0, 2, 1));
    return String(data) === "200,100,50,0,200,100,50,3";
  })();
  return kept;
}

// null if the browser has no WebGL.
async function throughTexture(bitmap, left, top, width, height) {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl");
  if (!gl) return null;
  const part = await createImageBitmap(bitmap, left, top, width, height, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part);
  part.close();
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const data = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? null : data;
}
