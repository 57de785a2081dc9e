// Keeps this version of the page: `VERSION`, `FILES` with their hashes, and `POLICY`, which stages.web puts above. Then its
// host is not asked for any of them. Another version waits until no window shows this one, so that they are never mixed.
const CACHE = `${registration.scope} ${VERSION}`;

async function keep() {
  // asked anew, as the browser may have old copies; one that a host still has ends it, and it is tried again later
  const request = ([name, integrity]) => new Request(name, { cache: "no-cache", integrity });
  const requests = Object.entries(FILES).map(request);
  await (await caches.open(CACHE)).addAll(requests);
}

async function takeOver() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(`${registration.scope} `) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

async function give(request) {
  const address = request.url.replace(/\/index\.html(?=$|[?#])/, "/");
  const kept = await (await caches.open(CACHE)).match(address, { ignoreSearch: true });
  if (!kept) return fetch(request);
  const headers = new Headers(kept.headers);
  headers.set("Content-Security-Policy", POLICY); // a worker has no <meta>
  return new Response(kept.body, { headers }); // a new one, as no page opens by what a host redirected
}

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(takeOver()));
addEventListener("fetch", (event) => event.respondWith(give(event.request)));
