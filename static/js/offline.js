// Fills the page that is left without a network with what this device keeps of who is signed in on it.

const MINE = "yiqi-mine:";
const find = (name, within = document) => within.querySelector(`[data-${name}]`);

find("again").addEventListener("click", () => location.reload());
addEventListener("online", () => location.reload());
show(await kept());

async function kept() {
  if (!("caches" in globalThis)) return null;
  const names = (await caches.keys()).filter((name) => name.startsWith(MINE));
  const answer = names.length === 1 && (await (await caches.open(names[0])).match("/account/offline.json", { ignoreVary: true }));
  const found = answer && (await answer.json());
  if (!found) return null;
  if (new Date(found.until) > new Date()) return found;
  await caches.delete(names[0]); // whoever it was is signed in no more
  return null;
}

function show(found) {
  if (!found) {
    find("unknown").hidden = false;
    return;
  }
  for (const one of document.querySelectorAll("[data-known]")) one.hidden = false;
  find("at").textContent = found.at;
  const ahead = found.items.filter((booking) => new Date(booking.ends) > new Date());
  find("none").hidden = ahead.length > 0;
  find("bookings").append(...ahead.map(line));
}

function line(booking) {
  const made = find("booking").content.cloneNode(true);
  find("state", made).textContent = booking.state;
  find("parts", made).append(...booking.parts.map(part));
  draw(find("code", made), booking.code);
  return made;
}

function part({ what, code, when, where, contact }) {
  const made = find("part").content.cloneNode(true);
  find("what", made).textContent = what;
  find("instrument", made).textContent = code;
  find("when", made).textContent = when;
  find("where", made).textContent = where;
  find("contact", made).textContent = contact;
  return made;
}

function draw(svg, { size, path }) {
  const quiet = 4;
  svg.setAttribute("viewBox", `${-quiet} ${-quiet} ${size + 2 * quiet} ${size + 2 * quiet}`);
  const paper = svg.querySelector("rect");
  for (const [name, value] of Object.entries({ x: -quiet, y: -quiet, width: size + 2 * quiet, height: size + 2 * quiet }))
    paper.setAttribute(name, value);
  svg.querySelector("path").setAttribute("d", path);
}
