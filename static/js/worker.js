// The service worker. It keeps the shell of the page that is left without a network, and nothing else: pages always
// come from the server. What that page shows of somebody is kept and taken away by device.js, never here.
// The server writes a line before this: SHELL, the pages by language and the files that they need.

const CACHE = "yiqi-shell";
const MINE = "yiqi-mine:";

self.addEventListener("install", (event) => {
  // What a page sends while it goes away is lost where a worker has to wake up for it first.
  event.addRoutes?.({ condition: { requestMethod: "POST" }, source: "network" });
  event.waitUntil(keepShell().then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(begin()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, search, origin } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(event).catch(withoutNetwork));
  else if (SHELL.files.includes(pathname + search)) event.respondWith(fromShell(request));
});

async function begin() {
  // The page is asked for while the worker is still waking up.
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
}

async function page(event) {
  return (await event.preloadResponse) ?? fetch(event.request);
}

async function keepShell() {
  const cache = await caches.open(CACHE);
  const wanted = [...Object.values(SHELL.pages), ...SHELL.files];
  // Without cookies: what is kept for everybody is made for nobody.
  await Promise.all(
    wanted.map(async (address) => {
      const answer = await fetch(address, { credentials: "omit", cache: "reload" });
      if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
      await cache.put(address, answer);
    }),
  );
  const known = new Set(wanted);
  for (const { url } of await cache.keys()) {
    const { pathname, search } = new URL(url);
    if (!known.has(pathname + search)) await cache.delete(url);
  }
}

async function fromShell(request) {
  return (await (await caches.open(CACHE)).match(request, { ignoreVary: true })) ?? fetch(request);
}

async function withoutNetwork() {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(SHELL.pages[await language()], { ignoreVary: true });
  return kept ?? Response.error();
}

async function language() {
  for (const name of await caches.keys()) {
    if (!name.startsWith(MINE)) continue;
    const kept = await (await caches.open(name)).match("/account/offline.json", { ignoreVary: true });
    const { locale } = kept ? await kept.json() : {};
    if (locale in SHELL.pages) return locale;
  }
  const wish = self.navigator.language.toLowerCase();
  if (!wish.startsWith("zh")) return "en";
  return /hk|tw|mo|hant/.test(wish) ? "zh_Hant_HK" : "zh_Hans_CN";
}
