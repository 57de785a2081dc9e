// All that the page says, in each language. The English words are those of stages.predict and stages.app.
const ENGLISH = {
  title: "Which breed is it?",
  lead: "Drop photos anywhere on this page, paste one, or",
  choose: "Choose photos",
  camera: "Take a photo",
  local: "Your photos stay on this device.",
  kept: "This page works without a network now.",
  loading: "The model is loading ({0} MB, once) …",
  loaded: "Ready.",
  failed: "The model could not be loaded ({0}). Load this page again where there is a network.",
  working: "{0} of {1} …",
  done: (count) => (count === 1 ? "1 file done." : `${count} files done.`),
  noFile: "There is no picture in what was pasted or dropped.",
  seen: "{0}, as the model sees it",
  more: "{0} more",
  none: "none of these breeds: it is unlike the photos that the model learned from",
  unsure: "not sure: it would be from {0} on",
  neverSure: "not sure: this model never is, it did not reach evaluate.target_accuracy on val",
  fault: "{0} was not read: {1}.",
  formats: "Photos are read as JPEG, PNG, WEBP, GIF, BMP or AVIF; HEIF and TIFF where the browser can.",
  empty: "empty",
  noPicture: "not a picture",
  cutShort: "cut short",
  damaged: "damaged",
  tooManyPixels: "too many pixels ({0}x{1})",
  unknownHere: "this browser can't read {0}: save it as JPEG",
  unreadable: "unreadable ({0})",
  shoot: "Take it",
  cancel: "Cancel",
  noCamera: "No camera could be used ({0}).",
  model: "The model",
  breeds: "{0} breeds",
  tested: "Tested on",
  score: "{0} photos that it was neither trained nor chosen on: {1} right ({2} to {3})",
  scoreDrawn: "{0} drawn pictures that it was neither trained nor chosen on: {1} right ({2} to {3})",
  untested: "Nothing here tells how often it is right.",
  noneTerm: "“None of these breeds”",
  noneWhen: "Where a photo is less like those that it learned from than nearly all photos of these breeds are.",
  noneNever: "Never: photos were too few to tell what is usual. So it answers with one of them whatever a photo shows.",
  unsureTerm: "“Not sure”",
  unsureWhen: "Where no breed has {0} or more.",
  unsureAlways: "Always: it did not reach the accuracy on val that was asked for.",
};

const FRENCH = {
  title: "De quelle race est‑il ?",
  lead: "Déposez des photos n’importe où sur cette page, collez-en une, ou",
  choose: "Choisir des photos",
  camera: "Prendre une photo",
  local: "Vos photos restent sur cet appareil.",
  kept: "Cette page fonctionne maintenant sans réseau.",
  loading: "Le modèle se charge ({0} Mo, une seule fois) …",
  loaded: "C’est prêt.",
  failed: "Le modèle n’a pas pu être chargé ({0}). Rechargez cette page là où il y a du réseau.",
  working: "{0} sur {1} …",
  done: (count) => (count === 1 ? "1 fichier traité." : `${count} fichiers traités.`),
  noFile: "Il n’y a pas d’image dans ce qui a été collé ou déposé.",
  seen: "{0}, telle que le modèle la voit",
  more: "{0} de plus",
  none: "aucune de ces races : elle ne ressemble pas aux photos dont le modèle a appris",
  unsure: "pas sûr : il le serait à partir de {0}",
  neverSure: "pas sûr : ce modèle ne l’est jamais, il n’a pas atteint evaluate.target_accuracy sur val",
  fault: "{0} n’a pas été lue : {1}.",
  formats: "Les photos sont lues en JPEG, PNG, WEBP, GIF, BMP ou AVIF ; HEIF et TIFF là où le navigateur sait les lire.",
  empty: "fichier vide",
  noPicture: "ce n’est pas une image",
  cutShort: "fichier tronqué",
  damaged: "fichier abîmé",
  tooManyPixels: "trop de pixels ({0}x{1})",
  unknownHere: "ce navigateur ne sait pas lire {0} : enregistrez-la en JPEG",
  unreadable: "illisible ({0})",
  shoot: "Prendre",
  cancel: "Annuler",
  noCamera: "Aucun appareil photo n’est utilisable ({0}).",
  model: "Le modèle",
  breeds: "{0} races",
  tested: "Testé sur",
  score: "{0} photos qui n’ont servi ni à l’entraîner ni à le choisir : {1} de bonnes réponses ({2} à {3})",
  scoreDrawn: "{0} dessins qui n’ont servi ni à l’entraîner ni à le choisir : {1} de bonnes réponses ({2} à {3})",
  untested: "Rien ici ne dit combien de fois il a raison.",
  noneTerm: "« Aucune de ces races »",
  noneWhen: "Quand une photo ressemble moins à celles dont il a appris que presque toutes les photos de ces races.",
  noneNever: "Jamais : il y avait trop peu de photos pour dire ce qui est habituel. Il répond donc toujours par une race.",
  unsureTerm: "« Pas sûr »",
  unsureWhen: "Quand aucune race n’atteint {0}.",
  unsureAlways: "Toujours : il n’a pas atteint sur val l’exactitude demandée.",
};

export const LANGUAGES = { en: ENGLISH, fr: FRENCH };
const wanted = (globalThis.navigator?.languages ?? []).map((tag) => tag.slice(0, 2).toLowerCase());
export const language = wanted.find((tag) => tag in LANGUAGES) ?? "en";

// French has no line begin with these. Not asked of the details: a file's name is shown as it is.
const unbroken = (text) => (language === "fr" ? text.replace(/ (?=[?:;»…])|(?<=«) /g, "\u00a0") : text);

export function say(word, ...details) {
  const text = LANGUAGES[language][word];
  if (typeof text === "function") return text(...details);
  return unbroken(text).replace(/{(\d)}/g, (_, place) => details[place]);
}

export const capitalised = (text) => text[0].toLocaleUpperCase(language) + text.slice(1);
const digits = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };
export const share = (value) => value.toLocaleString(language, digits);
export const number = (value) => value.toLocaleString(language);
