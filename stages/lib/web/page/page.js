// The page: where photos come from, and what becomes of them.
import { openCamera, thereIsOne } from "./camera.js";
import { showAnswer, showFault, showModel } from "./show.js";
import { language, say } from "./words.js";

const find = (selector) => document.querySelector(selector);
const [status, answers, choose, camera] = ["#status", "#answers", "#choose", "#camera"].map(find);
const tell = (text) => (status.textContent = text);

document.documentElement.lang = language;
document.title = say("title");
for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
tell(say("loading", status.dataset.megabytes));

// The service worker keeps all files; it is waited for, so that the large ones are loaded once. Where it can't, as by http,
// in some private windows, or where room is short or a file is not there, the page needs its host. Gives whether it keeps.
async function keepFiles() {
  try {
    const { active, waiting, installing } = await navigator.serviceWorker.register("service.js");
    const keeper = active ?? waiting ?? installing;
    await new Promise((resolve) => {
      const look = () => ["activated", "redundant"].includes(keeper.state) && resolve();
      keeper.addEventListener("statechange", look);
      look();
    });
    return keeper.state === "activated";
  } catch (error) {
    console.info(error);
    return false;
  }
}

let worker;
let about;
let waiting = []; // files, until there is a model
let asked = new Map(); // the files that the worker was sent, by their number
let [count, done, total] = [0, 0, 0];

// A photo's [width, height] by its header alone, so that one with too many pixels is never decoded; [0, 0]: unknown.
async function sizeOf(file) {
  const image = new Image();
  const loaded = new Promise((resolve) => (image.onload = image.onerror = resolve));
  image.src = URL.createObjectURL(file);
  await loaded;
  URL.revokeObjectURL(image.src);
  return [image.naturalWidth, image.naturalHeight];
}

async function askAbout(files) {
  const numbered = files.map((file) => [++count, file]);
  for (const [id, file] of numbered) asked.set(id, file.name);
  for (const [id, file] of numbered) worker.postMessage({ id, file, size: await sizeOf(file) });
}

function take(files) {
  if (files.length === 0) return tell(say("noFile"));
  if (asked.size === 0 && waiting.length === 0) {
    answers.replaceChildren();
    [done, total] = [0, 0];
  }
  total += files.length;
  if (about) {
    tell(say("working", done, total));
    askAbout(files);
  } else {
    waiting.push(...files);
  }
}

function receive({ data }) {
  if (data.failed) return tell(say("failed", data.failed));
  if (data.about) {
    about = data.about;
    find("#model").append(showModel(about));
    find("#model").hidden = false;
    find("#kept").hidden = !kept;
    tell(say("loaded"));
    askAbout(waiting);
    waiting = [];
    return;
  }
  const name = asked.get(data.id);
  asked.delete(data.id);
  answers.append(data.fault ? showFault(name, data.fault) : showAnswer(name, data, about));
  done += 1;
  tell(asked.size === 0 ? say("done", done) : say("working", done, total));
}

choose.addEventListener("change", () => {
  take([...choose.files]);
  choose.value = ""; // the same photo may be chosen again
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take([...event.dataTransfer.files]);
});
camera.hidden = !thereIsOne;
camera.addEventListener("click", () =>
  openCamera((file) => take([file])).catch((error) => tell(say("noCamera", error.message))),
);

const kept = await keepFiles();
worker = new Worker("answer.js", { type: "module" });
worker.onmessage = receive;
worker.onerror = (error) => tell(say("failed", error.message ?? "answer.js"));
