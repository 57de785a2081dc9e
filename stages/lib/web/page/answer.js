// The worker that reads photos and asks the network, so that the page stays alive meanwhile.
// It is sent {id, file, size: [width, height]}, and answers {id, fault: [word, ...details]} or {id, picture, side, probabilities, familiarity}.
import * as ort from "./onnxruntime.js";
import { formatOf, isCutShort } from "./formats.js";
import { prepare } from "./resize.js";

async function get(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}

async function load() {
  const about = await (await get("about.json")).json();
  const runtime = (await get("onnxruntime.bin")).body.pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.numThreads = 1; // more need headers that few static hosts send
  ort.env.wasm.wasmBinary = await new Response(runtime).arrayBuffer();
  const network = new Uint8Array(await (await get("model.onnx")).arrayBuffer());
  return { about, session: await ort.InferenceSession.create(network) };
}

// The picture of a bitmap, on white where it is transparent.
function pictureOn(bitmap) {
  const read = (left, top, width, height) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  return { width: bitmap.width, height: bitmap.height, read };
}

async function decode(file, format) {
  try {
    // the bytes as they are, as Pillow reads them: no colour profile is applied
    return await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw ["TIFF", "HEIF", "AVIF"].includes(format) ? ["unknownHere", format] : ["damaged"];
  }
}

async function read(file, [width, height], about) {
  if (file.size === 0) throw ["empty"];
  const format = await formatOf(file);
  if (format === undefined) throw ["noPicture"];
  if (width * height > about.max_pixels) throw ["tooManyPixels", width, height];
  if (await isCutShort(file, format)) throw [format === "WEBP" ? "damaged" : "cutShort"]; // in predict's words
  const bitmap = await decode(file, format);
  try {
    return prepare(pictureOn(bitmap), about).bytes;
  } finally {
    bitmap.close();
  }
}

async function ask(bytes, { session, about: { side } }) {
  const photo = new Float32Array(3 * side * side);
  for (let at = 0; at < photo.length; at++) photo[at] = bytes[4 * Math.trunc(at / 3) + (at % 3)];
  const outputs = await session.run({ photo: new ort.Tensor("float32", photo, [1, side, side, 3]) });
  return { probabilities: [...outputs.probabilities.data], familiarity: outputs.familiarity.data[0] };
}

async function answer({ id, file, size }, model) {
  try {
    const picture = await read(file, size, model.about);
    return { id, picture, side: model.about.side, ...(await ask(picture, model)) };
  } catch (fault) {
    if (Array.isArray(fault)) return { id, fault };
    console.error(fault);
    return { id, fault: ["unreadable", String(fault.message ?? fault)] };
  }
}

const model = load();
model.then(({ about }) => postMessage({ about }), (error) => postMessage({ failed: String(error.message ?? error) }));

let last = Promise.resolve(); // one photo at a time: memory is short on a phone
onmessage = ({ data }) => {
  last = last.then(async () => postMessage(await answer(data, await model)));
};
