// The transform of evaluation: Pillow's resize and a centre crop.

// Pillow's weights are integers in units of 1 / ONE, which are rounded here exactly as there.
const ONE = 2 ** 22;

const KERNELS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
};

// A photograph of `decode.js` -> Uint8ClampedArray of height x width x 3: resized, keeping its
// aspect ratio, until it covers the size divided by `crop`, and centre-cropped.
export async function seenByModel(photograph, height, width, crop, interpolation) {
  const least = [Math.floor(height / crop), Math.floor(width / crop)];
  const resized = covering(photograph.height, photograph.width, ...least);
  const top = roundHalfEven((resized[0] - height) / 2);
  const left = roundHalfEven((resized[1] - width) / 2);
  const kernel = KERNELS[interpolation];
  const across = taps(photograph.width, resized[1], left, width, kernel);
  const down = taps(photograph.height, resized[0], top, height, kernel);

  // First along the width, rounded, for the rows that are needed, then along the height.
  const [first, end] = reached(down);
  const [start, stop] = reached(across);
  const narrow = new Uint8ClampedArray((end - first) * width * 3);
  let at = 0;
  for await (const strip of photograph.strips(start, first, stop, end)) {
    for (let y = 0; y < strip.height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const { first: from, weights } = across[x];
        let red = 0, green = 0, blue = 0;
        let pixel = 4 * (y * (stop - start) + from - start);
        for (let i = 0; i < weights.length; i += 1, pixel += 4) {
          red += weights[i] * strip.data[pixel];
          green += weights[i] * strip.data[pixel + 1];
          blue += weights[i] * strip.data[pixel + 2];
        }
        narrow[at] = rounded(red);
        narrow[at + 1] = rounded(green);
        narrow[at + 2] = rounded(blue);
        at += 3;
      }
    }
  }
  const seen = new Uint8ClampedArray(height * width * 3);
  for (let y = 0; y < height; y += 1) {
    const { first: from, weights } = down[y];
    for (let x = 0; x < 3 * width; x += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) {
        sum += weights[i] * narrow[3 * width * (from - first + i) + x];
      }
      seen[3 * width * y + x] = rounded(sum);
    }
  }
  return seen;
}

// A weighted sum of pixels, rounded half up as in Pillow; the array itself would round half
// to even.
function rounded(sum) {
  return Math.floor(sum / ONE + 0.5);
}

// The smallest size with the photograph's aspect ratio that covers both sides.
function covering(height, width, leastHeight, leastWidth) {
  if (leastWidth * height > leastHeight * width) {
    return [Math.floor((leastWidth * height) / width), leastWidth];
  }
  return [leastHeight, Math.floor((leastHeight * width) / height)];
}

// For each new pixel from `start` on, the old pixels that it is computed from.
function taps(length, newLength, start, count, { support, weight }) {
  const scale = length / newLength;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support * stretch + 0.5));
    const end = Math.min(length, Math.floor(centre + support * stretch + 0.5));
    const weights = Array.from({ length: end - first }, (_, j) =>
      weight((first + j - centre + 0.5) / stretch));
    const sum = weights.reduce((total, value) => total + value, 0);
    return { first, weights: weights.map((value) => fixed(value / sum)) };
  });
}

function fixed(weight) {
  return Math.sign(weight) * Math.floor(Math.abs(weight) * ONE + 0.5);
}

// The range of old pixels in `taps`: the first, and the one after the last.
function reached(taps) {
  return [
    Math.min(...taps.map(({ first }) => first)),
    Math.max(...taps.map(({ first, weights }) => first + weights.length)),
  ];
}

function roundHalfEven(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}
