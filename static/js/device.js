// What this device keeps: the worker of the page that is left without a network, and the next bookings of whoever is
// signed in here, for that page alone. They are taken away as soon as somebody else, or nobody, is signed in.

const MINE = "yiqi-mine:";
const DATA = "/account/offline.json";
const FRESH = 5 * 60 * 1000;
const { reader } = document.body.dataset;

if ("serviceWorker" in navigator && "caches" in globalThis) {
  navigator.serviceWorker.register("/sw.js").catch(() => {});
  keep().catch(() => {});
  for (const form of document.querySelectorAll("[data-signs-out]")) form.addEventListener("submit", () => forget());
}

async function forget(but = "") {
  const names = (await caches.keys()).filter((name) => name.startsWith(MINE) && name !== but);
  await Promise.all(names.map((name) => caches.delete(name)));
}

async function keep() {
  const own = reader ? MINE + reader : "";
  await forget(own);
  if (!own) return;
  const cache = await caches.open(own);
  const before = await cache.match(DATA, { ignoreVary: true });
  if (before && Date.now() - Date.parse(before.headers.get("Date")) < FRESH && !changed()) return;
  const answer = await fetch(DATA, { headers: { Accept: "application/json" } });
  if (answer.ok && !answer.redirected) await cache.put(DATA, answer);
  else await forget();
}

// A page on which something was just done: what is kept is older than that.
function changed() {
  return Boolean(document.querySelector(".flashes"));
}

// --- installing -----------------------------------------------------------------------------------

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  for (const button of document.querySelectorAll("[data-install]")) {
    button.hidden = false;
    button.addEventListener("click", () => event.prompt(), { once: true });
  }
});
