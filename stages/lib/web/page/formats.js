// Which picture a file is, by its first bytes; the closed list of stages/lib/images/photos.py.
const STARTS = [
  ["JPEG", 0, "\xff\xd8\xff"],
  ["PNG", 0, "\x89PNG\r\n\x1a\n"],
  ["GIF", 0, "GIF8"],
  ["WEBP", 8, "WEBP"],
  ["BMP", 0, "BM"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["AVIF", 4, "ftypavif"],
  ["AVIF", 4, "ftypavis"],
  ["HEIF", 4, "ftyphei"],
  ["HEIF", 4, "ftyphev"],
  ["HEIF", 4, "ftypmif1"],
  ["HEIF", 4, "ftypmsf1"],
];

async function textOf(file, start, end) {
  const bytes = new Uint8Array(await file.slice(start, end).arrayBuffer());
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

export async function formatOf(file) {
  const head = await textOf(file, 0, 16);
  return STARTS.find(([, place, start]) => head.startsWith(start, place))?.[0];
}

function has(bytes, end, from) {
  for (let at = bytes.indexOf(end[0], from); at >= 0; at = bytes.indexOf(end[0], at + 1)) {
    if (end.every((byte, place) => bytes[at + place] === byte)) return true;
  }
  return false;
}

// Where the pixels of a JPEG begin: behind its segments, of which one may have a small JPEG of its own.
function pixelsOf(bytes) {
  let at = 2;
  while (at < bytes.length && !(bytes[at] === 0xff && bytes[at + 1] === 0xda)) {
    const begins = bytes[at] === 0xff && bytes[at + 1] !== 0xff; // before a segment may be any number of 0xff
    at += begins ? 2 + 256 * bytes[at + 2] + bytes[at + 3] : 1;
  }
  return at;
}

// Where the first frame of a GIF ends, the only one that is looked at.
function endOfFrame(bytes) {
  const colours = (flags) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  const behindBlocks = (at) => {
    while (bytes[at] > 0) at += bytes[at] + 1;
    return at + 1;
  };
  let at = 13 + colours(bytes[10]);
  while (bytes[at] === 0x21) at = behindBlocks(at + 2); // what is said of the frame
  return behindBlocks(at + 11 + colours(bytes[at + 9]));
}

const length = (bytes, at) => [3, 2, 1, 0].reduce((sum, place) => 256 * sum + bytes[at + place], 0);

// A browser shows what there is of a photo that was cut short. Behind its end may be more, as a phone's film of it.
const IS_WHOLE = {
  JPEG: (bytes) => has(bytes, [0xff, 0xd9], pixelsOf(bytes)),
  PNG: (bytes) => has(bytes, [0x49, 0x45, 0x4e, 0x44], 8), // IEND
  GIF: (bytes) => endOfFrame(bytes) <= bytes.length,
  WEBP: (bytes) => 8 + length(bytes, 4) <= bytes.length,
  BMP: (bytes) => length(bytes, 2) <= bytes.length,
};

export async function isCutShort(file, format) {
  return format in IS_WHOLE && !IS_WHOLE[format](new Uint8Array(await file.arrayBuffer()));
}
