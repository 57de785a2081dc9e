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

// A browser shows what there is of a photo that was cut short; its end tells. Some cameras write on after it.
const ENDS = { JPEG: "\xff\xd9", PNG: "IEND" };
const TAIL = 65536; // bytes

export async function isCutShort(file, format) {
  if (!(format in ENDS)) return false;
  return !(await textOf(file, Math.max(0, file.size - TAIL), file.size)).includes(ENDS[format]);
}
