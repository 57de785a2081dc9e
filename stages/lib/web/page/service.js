// Keeps this version of the page: `VERSION` and `FILES`, which stages.web puts above. After that its host is not asked for
// any of them. Another version waits until no window shows this one, so that their files are never mixed.
const CACHE = `${registration.scope} ${VERSION}`;

addEventListener("install", (event) => {
  // asked anew, or an old copy in the browser's cache could be kept for this version's
  const requests = FILES.map((name) => new Request(name, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

async function takeOver() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(`${registration.scope} `) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function give(request) {
  const kept = await (await caches.open(CACHE)).match(request, { ignoreSearch: true });
  return kept ?? fetch(request);
}

addEventListener("fetch", (event) => event.respondWith(give(event.request)));
