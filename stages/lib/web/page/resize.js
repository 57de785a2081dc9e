// Pillow's resize with Lanczos, in whole numbers as it computes it, so that a photo becomes the same pixels in a browser
// as in training; and how `to_square` of stages/lib/images/photos.py makes it square with it.
//
// A picture is {width, height, read(left, top, width, height)}; `read` gives red-green-blue-alpha bytes, row by row. It is
// read in bands, as no canvas of a phone holds 50 megapixels at once. Alpha is ignored, and 255 in what is made.
const LOBES = 3; // of the filter, on either side
const BITS = 22; // of a weight
const BAND = 256; // pixels
const PADDING = [124, 116, 104, 255]; // as in stages/lib/images/photos.py

export function pictureOf(bytes, width, height) {
  const read = (left, top, wide, high) => {
    if (wide === width && high === height) return bytes;
    const part = new Uint8ClampedArray(4 * wide * high);
    for (let y = 0; y < high; y++) {
      const from = 4 * ((top + y) * width + left);
      part.set(bytes.subarray(from, from + 4 * wide), 4 * y * wide);
    }
    return part;
  };
  return { width, height, bytes, read };
}

function lanczos(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (Math.sin(angle) / angle) * (Math.sin(angle / LOBES) / (angle / LOBES));
}

// Of each of `size` pixels that are made of [start, end): the first pixel to read, and the weights from there on.
function weigh(length, start, end, size) {
  const scale = (end - start) / size;
  const spread = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - LOBES * spread + 0.5), 0);
    const last = Math.min(Math.trunc(centre + LOBES * spread + 0.5), length);
    const weights = Array.from({ length: last - first }, (_, k) => lanczos((first + k - centre + 0.5) * (1 / spread)));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const whole = weights.map((weight) => Math.trunc(weight * (1 / sum) * 2 ** BITS + (weight < 0 ? -0.5 : 0.5)));
    return { first, weights: Int32Array.from(whole) };
  });
}

const spanOf = (weighed) => [weighed[0].first, weighed.at(-1).first + weighed.at(-1).weights.length];

// Resample along one axis, of the lines [from, to) of the other axis alone: those that are needed.
function resample(picture, weighed, across, from, to) {
  const [low, high] = spanOf(weighed);
  const [length, lines, size] = [high - low, to - from, weighed.length];
  const made = new Uint8ClampedArray(4 * lines * size).fill(255);
  for (let start = from; start < to; start += BAND) {
    const count = Math.min(BAND, to - start);
    const band = across ? picture.read(low, start, length, count) : picture.read(start, low, count, length);
    const [step, line] = across ? [4, 4 * length] : [4 * count, 4]; // bytes to the next pixel, and to the next line
    for (let place = 0; place < size; place++) {
      const { first, weights } = weighed[place];
      for (let n = 0; n < count; n++) {
        let [red, green, blue] = [2 ** (BITS - 1), 2 ** (BITS - 1), 2 ** (BITS - 1)]; // a half, to round
        for (let k = 0, at = n * line + (first - low) * step; k < weights.length; k++, at += step) {
          red += band[at] * weights[k];
          green += band[at + 1] * weights[k];
          blue += band[at + 2] * weights[k];
        }
        const to = 4 * (across ? (start - from + n) * size + place : place * lines + start - from + n);
        made[to] = red >> BITS;
        made[to + 1] = green >> BITS;
        made[to + 2] = blue >> BITS;
      }
    }
  }
  return across ? pictureOf(made, size, lines) : pictureOf(made, lines, size);
}

// `box` is the part to take, [left, top, right, bottom] in pixels, whole or not.
export function resize(picture, width, height, box = [0, 0, picture.width, picture.height]) {
  const [left, top, right, bottom] = box;
  const across = width !== picture.width || left !== 0 || right !== width;
  const down = height !== picture.height || top !== 0 || bottom !== height;
  const columns = weigh(picture.width, left, right, width);
  const rows = weigh(picture.height, top, bottom, height);
  if (!across && !down) return pictureOf(picture.read(0, 0, width, height), width, height);
  if (!down) return resample(picture, columns, true, 0, height);
  if (!across) return resample(picture, rows, false, 0, width);
  // Pillow 13 begins with the axis that leaves less to do, by this rule, found by trying
  const rowsFirst = picture.height - height > 2 * Math.max(picture.width - width, 0);
  const [first, second] = rowsFirst ? [rows, columns] : [columns, rows];
  const [low, high] = spanOf(second);
  const narrowed = resample(picture, first, !rowsFirst, low, high);
  const shifted = second.map(({ first, weights }) => ({ first: first - low, weights }));
  return resample(narrowed, shifted, rowsFirst, 0, rowsFirst ? height : width);
}

// Python's round: halves to the even one.
function round(x) {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

function pad(picture, side) {
  const { width, height } = picture;
  const wide = width > height ? side : round((width / height) * side);
  const high = width > height ? round((height / width) * side) : side;
  const square = new Uint8ClampedArray(4 * side * side);
  for (let at = 0; at < square.length; at++) square[at] = PADDING[at % 4];
  if (wide === 0 || high === 0) return pictureOf(square, side, side); // so thin that nothing of it is left
  const { bytes } = resize(picture, wide, high);
  const [left, top] = [round((side - wide) * 0.5), round((side - high) * 0.5)];
  for (let y = 0; y < high; y++) {
    square.set(bytes.subarray(4 * y * wide, 4 * (y + 1) * wide), 4 * ((y + top) * side + left));
  }
  return pictureOf(square, side, side);
}

function toSquare(picture, side, how) {
  const { width, height } = picture;
  if (how === "pad") return pad(picture, side);
  if (how === "squash") return resize(picture, side, side);
  const short = Math.min(width, height);
  const [left, top] = [(width - short) * 0.5, (height - short) * 0.5];
  return resize(picture, side, side, [left, top, left + short, top + short]);
}

// The picture that the network takes; `about` is about.json.
export function prepare(picture, about) {
  const square = toSquare(picture, about.prepared_size, about.resize);
  return resize(square, about.side, about.side);
}
