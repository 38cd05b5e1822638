// What the model was evaluated on: Pillow's resize, and the centre cut out.

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

// ImageData -> Uint8ClampedArray of height x width x 3: resized, ratio kept, until it
// covers the size divided by `crop`, and the centre of that.
export function seenByModel(photograph, height, width, crop, interpolation) {
  const least = [Math.floor(height / crop), Math.floor(width / crop)];
  const resized = covering(photograph.height, photograph.width, ...least);
  const top = roundHalfEven((resized[0] - height) / 2);
  const left = roundHalfEven((resized[1] - width) / 2);
  const kernel = KERNELS[interpolation];
  const across = taps(photograph.width, resized[1], left, width, kernel);
  const down = taps(photograph.height, resized[0], top, height, kernel);

  // Along the width, of the rows that are needed, rounded, then along the height.
  const first = Math.min(...down.map((tap) => tap.first));
  const end = Math.max(...down.map((tap) => tap.first + tap.weights.length));
  const narrow = new Uint8ClampedArray((end - first) * width * 3);
  for (let y = first; y < end; y += 1) {
    const row = 4 * y * photograph.width;
    for (let x = 0; x < width; x += 1) {
      const { first: start, weights } = across[x];
      let red = 0, green = 0, blue = 0;
      for (let i = 0, at = row + 4 * start; i < weights.length; i += 1, at += 4) {
        red += weights[i] * photograph.data[at];
        green += weights[i] * photograph.data[at + 1];
        blue += weights[i] * photograph.data[at + 2];
      }
      const at = 3 * ((y - first) * width + x);
      narrow[at] = rounded(red);
      narrow[at + 1] = rounded(green);
      narrow[at + 2] = rounded(blue);
    }
  }
  const seen = new Uint8ClampedArray(height * width * 3);
  for (let y = 0; y < height; y += 1) {
    const { first: start, weights } = down[y];
    for (let x = 0; x < 3 * width; x += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) {
        sum += weights[i] * narrow[3 * width * (start - first + i) + x];
      }
      seen[3 * width * y + x] = rounded(sum);
    }
  }
  return seen;
}

// Halves up, as Pillow; the array's own rounding takes them to even.
function rounded(value) {
  return Math.floor(value + 0.5);
}

// The smallest size of the photograph's ratio that is as large as both.
function covering(height, width, leastHeight, leastWidth) {
  if (leastWidth * height > leastHeight * width) {
    return [Math.floor((leastWidth * height) / width), leastWidth];
  }
  return [leastHeight, Math.floor((leastHeight * width) / height)];
}

// For each new pixel from `start` on, the old ones that it is made of.
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
    return { first, weights: weights.map((value) => value / sum) };
  });
}

function roundHalfEven(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}
