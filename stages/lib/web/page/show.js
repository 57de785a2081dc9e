// What the model says, as elements of the page. Text goes in as text: a file's name may be anything.
import { capitalised, number, say, share } from "./words.js";

const LISTED = 5; // breeds of a photo; the others can be unfolded
const DIGITS = 1e6; // as thresholds were found, see stages/lib/evaluation/selective.py

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function table(rows) {
  return make("table", {}, ...rows.map(({ breed, probability }) => {
    const bar = make("span");
    bar.style.width = `${100 * probability}%`;
    const cell = make("td", { className: "bar" }, bar);
    cell.setAttribute("aria-hidden", "true");
    const head = make("th", { scope: "row", textContent: breed });
    return make("tr", {}, head, make("td", { className: "number", textContent: share(probability) }), cell);
  }));
}

const rounded = (value) => Math.round(value * DIGITS) / DIGITS;

// The remark above a photo's breeds, if there is any.
export function remark({ probabilities, familiarity }, about) {
  if (about.familiarity_threshold !== null && rounded(familiarity) < about.familiarity_threshold) return say("none");
  if (about.threshold === null) return say("neverSure");
  return rounded(Math.max(...probabilities)) >= about.threshold ? "" : say("unsure", share(about.threshold));
}

function drawing(name, { picture, side }) {
  const canvas = make("canvas", { width: side, height: side });
  canvas.getContext("2d").putImageData(new ImageData(picture, side), 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", say("seen", name));
  return canvas;
}

export function showAnswer(name, answer, about) {
  const rows = about.breeds.map((breed, place) => ({ breed, probability: answer.probabilities[place] }));
  rows.sort((one, other) => other.probability - one.probability);
  const told = make("div", { className: "told" }, make("h2", { textContent: name }));
  const noted = remark(answer, about);
  if (noted) told.append(make("p", { className: "unsure", textContent: capitalised(noted) }));
  told.append(table(rows.slice(0, LISTED)));
  if (rows.length > LISTED) {
    const summary = make("summary", { textContent: say("more", number(rows.length - LISTED)) });
    told.append(make("details", {}, summary, table(rows.slice(LISTED))));
  }
  return make("article", {}, drawing(name, answer), told);
}

export function showFault(name, [word, ...details]) {
  const said = make("p", { textContent: say("fault", name, say(word, ...details)) });
  return make("div", { className: "note" }, said, make("p", { className: "quiet", textContent: say("formats") }));
}

export function showModel(about) {
  const { breeds, scores, threshold } = about;
  const score = scores && [number(scores.photos), ...[scores.accuracy, scores.low, scores.high].map(share)];
  const facts = [
    [say("breeds", number(breeds.length)), breeds.join(", ")],
    [say("tested"), score ? say(scores.drawn ? "scoreDrawn" : "score", ...score) : say("untested")],
    [say("noneTerm"), say(about.familiarity_threshold === null ? "noneNever" : "noneWhen")],
    [say("unsureTerm"), threshold === null ? say("unsureAlways") : say("unsureWhen", share(threshold))],
  ];
  return make("dl", {}, ...facts.flatMap(([term, fact]) => [
    make("dt", { textContent: term }), make("dd", { textContent: fact }),
  ]));
}
