// The timeline of the instruments. Only rows in sight are drawn: the paper is as high as all of them, and what comes
// into sight is drawn from what the page brought, or asked for. Every few seconds it asks whether anything changed.

import { fill, paper as makePaper } from "./resources-paper.js";
import { deeds } from "./resources-deeds.js";
import { hand } from "./resources-hand.js";

const box = document.querySelector("[data-resources]");
const data = JSON.parse(document.getElementById(box.dataset.resources).textContent);
const scroll = box.querySelector("[data-scroll]");
const grid = box.querySelector("[data-grid]");
const form = document.querySelector("[data-resources-form]");
const news = document.querySelector("[data-resources-news]");

const ROW = 44;
const LANE = 34;
const HEAD = 36;
const AHEAD = 500; // pixels beyond what is in sight that are drawn already
const LEAST = 24; // pixels of a bar, so that a finger hits it
const WORD = 30; // pixels that a word needs at least
const MOST_LANES = 8;
const MOST_ASKED = 60;
const PAUSE = 120;
const ASK = 5000;

const address = new URL(location.href);
// On a small phone the agenda is what one reads; the timeline is a tap away.
if (!address.searchParams.has("form") && matchMedia("(max-width: 30rem)").matches) {
  address.searchParams.set("form", "list");
  location.replace(address);
}

const paper = makePaper(data);
const words = data.words;
const rows = data.rows.map(([id, code, name, facility, same, line, units, small]) => ({
  id, code, name, same, line, units, small, facility: data.facilities[facility], height: ROW, drawn: null,
}));
const byId = new Map(rows.map((row) => [row.id, row]));
for (const row of rows) {
  const line = byId.get(row.line);
  row.under = line && line.facility === row.facility ? line : null;
  if (row.under) row.under.stations = (row.under.stations ?? 0) + 1;
}
const folded = new Set((address.searchParams.get("fold") ?? "").split(",").filter(Boolean));
let looks = new Set(data.looks);
let shown = []; // what has a place on the paper, in order: heads of facilities, and rows
let tops = [];
let elements = new Map();
let across = 1; // pixels of the paper's width, read once: to ask for it while drawing would lay out everything anew

// --- what is shown ------------------------------------------------------------------------------

function arrange() {
  const wanted = (form.querySelector("[name=q]")?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const narrowed = wanted.join(" ") !== (address.searchParams.get("q") ?? "").toLowerCase().trim();
  const found = narrowed
    ? rows.filter((row) => wanted.every((word) => `${row.code} ${row.name}`.toLowerCase().includes(word)))
    : rows;
  shown = [];
  for (const facility of data.facilities) {
    const own = found.filter((row) => row.facility === facility);
    if (!own.length) continue;
    shown.push({ key: `f:${facility.code}`, facility, count: own.length, height: HEAD });
    if (folded.has(`f:${facility.code}`)) continue;
    for (const row of own) {
      if (row.under && folded.has(`l:${row.under.code}`) && found.includes(row.under)) continue;
      shown.push(Object.assign(row, { key: `r:${row.id}` }));
    }
  }
  measure();
  grid.setAttribute("aria-rowcount", shown.length + 1);
  box.classList.toggle("none", !shown.length);
  draw();
}

function measure() {
  let top = 0;
  tops = shown.map((one) => {
    const at = top;
    top += one.height;
    return at;
  });
  body.style.height = `${top}px`;
}

/** The number of the first row that ends below a place. */
function at(y) {
  let low = 0;
  let high = shown.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle] + shown[middle].height <= y) low = middle + 1;
    else high = middle;
  }
  return low;
}

// --- drawing ------------------------------------------------------------------------------------

const head = make("div", "resources-head", { role: "row", "aria-rowindex": 1 });
const body = make("div", "resources-body", { role: "rowgroup" });
const empty = make("p", "resources-empty soft");
empty.textContent = words.empty;
grid.append(head, body);
scroll.append(empty);

function make(tag, name, attributes = {}) {
  const one = document.createElement(tag);
  one.className = name;
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  return one;
}

function scale() {
  const corner = make("div", "resources-corner", { role: "columnheader" });
  corner.textContent = box.dataset.corner;
  const over = make("div", "resources-scale", { role: "columnheader", "aria-label": box.dataset.time });
  const [opens, closes] = data.hours;
  const first = Date.parse(`${data.first}T00:00Z`) / 60_000;
  const today = paper.local(data.facilities[0].zone, Date.now() / 60_000).slice(0, 10);
  if (data.days === 1) {
    for (let hour = opens; hour < closes; hour += 1) tick(over, String(hour).padStart(2, "0"), (hour - opens) / (closes - opens));
  } else {
    const long = { weekday: "short", month: "short", day: "numeric" };
    for (let day = 0; day < data.days; day += 1) {
      const midnight = first + day * 1440;
      const said = tick(over, paper.day(midnight, data.view === "month" ? { day: "numeric" } : long), day / data.days);
      const weekday = new Date(midnight * 60_000).getUTCDay();
      said.classList.toggle("weekend", weekday === 0 || weekday === 6);
      said.classList.toggle("today", new Date(midnight * 60_000).toISOString().slice(0, 10) === today);
    }
  }
  head.append(corner, over);
}

function tick(over, said, left) {
  const one = make("span", "resources-tick", { "aria-hidden": "true" });
  one.textContent = said;
  one.style.left = `${left * 100}%`;
  over.append(one);
  return one;
}

function draw() {
  const from = Math.max(at(scroll.scrollTop - AHEAD), 0);
  const to = Math.min(at(scroll.scrollTop + scroll.clientHeight + AHEAD), shown.length - 1);
  const kept = new Map();
  const wanting = [];
  for (let number = from; number <= to; number += 1) {
    const one = shown[number];
    const element = elements.get(one.key) ?? (one.count ? drawHead(one) : drawRow(one));
    element.style.top = `${tops[number]}px`;
    element.style.height = `${one.height}px`;
    element.setAttribute("aria-rowindex", number + 2);
    if (!element.isConnected) body.append(element);
    kept.set(one.key, element);
    if (!one.count && !one.drawn) wanting.push(one);
  }
  for (const [key, element] of elements) {
    if (kept.has(key)) continue;
    if (element.contains(document.activeElement) || element.classList.contains("dragged")) kept.set(key, element);
    else element.remove();
  }
  elements = kept;
  if (wanting.length) soon();
}

function drawHead(one) {
  const element = make("div", "resources-group", { role: "row" });
  const cell = make("div", "resources-group-name", { role: "rowheader", "aria-colspan": 2 });
  const button = fold(one.key, fill(words.fold, { name: one.facility.name }));
  const name = make("span", "resources-group-words");
  name.textContent = `${one.facility.name} · ${one.count}`;
  button.append(name);
  cell.append(button);
  element.append(cell);
  return element;
}

function fold(key, label) {
  const button = make("button", "resources-fold", {
    type: "button", tabindex: -1, "aria-expanded": !folded.has(key), "data-fold": key, "data-stop": "",
  });
  if (key.startsWith("l:")) button.setAttribute("aria-label", label);
  return button;
}

function drawRow(row) {
  const element = make("div", row.under ? "resources-row station" : "resources-row", { role: "row", "data-row": row.id });
  const name = make("div", "resources-name", { role: "rowheader" });
  if (row.stations) name.append(fold(`l:${row.code}`, fill(words.fold, { name: `${row.name}, ${words.stations}` })));
  const both = make("span", "resources-both");
  const link = make("a", "resources-link", {
    href: data.urls.instrument.replace("CODE", encodeURIComponent(row.code)), tabindex: -1, "data-stop": "",
  });
  link.textContent = row.name;
  const small = make("span", "faint tiny");
  small.textContent = row.small ? `${row.code} · ${row.small}` : row.code;
  both.append(link, small);
  name.append(both);
  const time = make("div", "resources-time", {
    role: "gridcell", tabindex: -1, "data-stop": "",
  });
  element.append(name, time);
  paint(row, time);
  return element;
}

/** Draw a row's time: where it is open, what takes it, and this moment. */
function paint(row, time) {
  time.replaceChildren(unseen(fill(words.row, { name: row.name })));
  time.classList.toggle("wanting", !row.drawn);
  if (!row.drawn) return;
  time.style.backgroundImage = opening(row);
  const now = make("span", "resources-now");
  time.append(now);
  placeNow(row, now);
  const { bars, lanes } = laid(row);
  bars.forEach((bar) => time.append(drawBar(row, bar, lanes)));
  if (row.more) {
    const more = make("a", "resources-more", { href: data.urls.list, tabindex: -1, "data-stop": "" });
    more.textContent = fill(words.more, { num: row.more });
    time.append(more);
  }
}

const openings = new Map();

function opening(row) {
  const key = `${row.drawn.opened.flat().join(",")} ${row.facility.zone}`;
  if (!openings.has(key)) {
    const stops = row.drawn.opened.flatMap(([from, to]) => {
      const [left, right] = [paper.place(row.facility.zone, from), paper.place(row.facility.zone, to)].map((part) => `${part * 100}%`);
      return [`transparent ${left}`, `var(--surface) ${left}`, `var(--surface) ${right}`, `transparent ${right}`];
    });
    openings.set(key, [
      `repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px calc(100% / ${data.days > 1 ? data.days : data.hours[1] - data.hours[0]}))`,
      ...(stops.length ? [`linear-gradient(to right, ${stops.join(", ")})`] : []),
      "repeating-linear-gradient(45deg, var(--hatch) 0 1px, transparent 1px 8px)",
    ].join(", "));
  }
  return openings.get(key);
}

/** Put bars into lanes so that none lies on another, however short they are drawn. */
function laid(row) {
  const least = LEAST / across;
  const now = Date.now() / 60_000;
  const [first, last] = paper.ends(row.facility.zone);
  const ends = [];
  const bars = [];
  row.more = 0;
  for (const bar of row.drawn.bars) {
    if (!looks.has(bar.l) || (bar.x && bar.x <= now)) continue;
    if (bar.e <= first || bar.s >= last) continue;
    const left = Math.min(paper.place(row.facility.zone, bar.s), 1 - least);
    const right = Math.max(paper.place(row.facility.zone, bar.e), left + least);
    let lane = ends.findIndex((end) => end <= left + 1e-6);
    if (lane < 0) lane = ends.length;
    if (lane >= MOST_LANES) {
      row.more += 1;
      continue;
    }
    ends[lane] = right;
    bars.push(Object.assign(bar, { left, right, lane }));
  }
  const height = Math.max(ROW, ends.length * LANE + (ROW - LANE) + (row.more ? 18 : 0));
  if (height !== row.height) {
    row.height = height;
    later();
  }
  return { bars, lanes: ends.length };
}

function drawBar(row, bar) {
  const element = make("button", `resources-slot look-${bar.l}${bar.m ? " movable" : ""}`, {
    type: "button", tabindex: -1, "data-stop": "", "data-bar": row.drawn.bars.indexOf(bar),
  });
  element.style.left = `${bar.left * 100}%`;
  element.style.width = `${(bar.right - bar.left) * 100}%`;
  element.style.top = `${bar.lane * LANE + 5}px`;
  const width = bar.right - bar.left;
  const use = make("span", "bar-use");
  let room = across * width;
  if (bar.us !== bar.s || bar.ue !== bar.e) {
    element.append(make("span", "bar-pads"));
    const part = (time) => Math.min(Math.max((paper.place(row.facility.zone, time) - bar.left) / width, 0), 1);
    const [from, to] = [part(bar.us), part(bar.ue)];
    use.style.left = `${from * 100}%`;
    use.style.width = `max(${(to - from) * 100}%, 6px)`;
    room *= to - from;
    const [first, last] = paper.ends(row.facility.zone);
    use.hidden = bar.ue <= first || bar.us >= last; // of the clean-up of a use the day before
  }
  element.classList.toggle("narrow", room < WORD);
  // Readers of screens hear all of it in the order in which it is seen.
  use.append(unseen(`${paper.times(row.facility.zone, bar.us, bar.ue)} `));
  if (bar.p) {
    const who = make("span", "bar-who");
    who.textContent = bar.p;
    use.append(who, " ");
  }
  const plain = bar.p && bar.l === "booked";
  const what = make("span", "bar-what");
  what.textContent = [bar.q && bar.b ? `× ${bar.q}` : "", plain ? "" : wordOf(bar), bar.t ?? ""].filter(Boolean).join(" ");
  use.append(what);
  const rest = [plain ? wordOf(bar) : "", bar.c && bar.b ? words.confidential : "", row.name].filter(Boolean);
  use.append(unseen(`, ${rest.join(", ")}`));
  element.append(use);
  return element;
}

function unseen(said) {
  const one = make("span", "visually-hidden");
  one.textContent = said;
  return one;
}

const wordOf = (bar) => (bar.k ? words.kinds[bar.k] : words.looks[bar.l]);

function placeNow(row, element) {
  const now = Date.now() / 60_000;
  const [first, last] = paper.ends(row.facility.zone);
  element.hidden = now < first || now >= last;
  element.style.left = `${paper.place(row.facility.zone, now) * 100}%`;
}

let waiting = 0;

/** Heights changed: measure anew, once for all that changed, and keep what one looks at where it is. */
function later() {
  if (waiting) return;
  waiting = requestAnimationFrame(() => {
    waiting = 0;
    const first = shown[at(scroll.scrollTop)];
    const before = first ? tops[shown.indexOf(first)] : 0;
    measure();
    const moved = first ? tops[shown.indexOf(first)] - before : 0;
    if (moved) scroll.scrollTop += moved;
    draw();
  });
}

/** Draw a row anew in place; the keyboard stays where it was. */
function redraw(row) {
  const element = elements.get(`r:${row.id}`);
  if (!element) return;
  const time = element.querySelector(".resources-time");
  const focused = time.contains(document.activeElement) ? document.activeElement : null;
  const booking = focused && focused !== time ? row.focused : null;
  paint(row, time);
  element.style.height = `${row.height}px`;
  if (!focused || focused === time) return;
  const same = [...time.querySelectorAll("[data-bar]")].find((each) => row.drawn.bars[each.dataset.bar].b === booking);
  (same ?? time).focus({ preventScroll: true });
}

// --- reading ------------------------------------------------------------------------------------

const asked = new Set();
let next = 0;

/** Ask in a moment for what is then in sight and not drawn: what flew by is not asked for. */
function soon() {
  next ||= setTimeout(() => {
    next = 0;
    const rowsInSight = [...elements.keys()].filter((key) => key.startsWith("r:")).map((key) => byId.get(Number(key.slice(2))));
    ask(rowsInSight.filter((row) => !row.drawn).map((row) => row.id));
  }, PAUSE);
}

async function ask(ids) {
  const wanted = ids.filter((id) => !asked.has(id)).slice(0, MOST_ASKED);
  if (!wanted.length) return;
  wanted.forEach((id) => asked.add(id));
  try {
    const answer = await fetch(`${data.urls.rows}&ids=${wanted.join(",")}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    take(await answer.json());
    wanted.forEach((id) => asked.delete(id));
    draw();
  } catch {
    // Another look comes with the next scroll, or the next news.
    setTimeout(() => wanted.forEach((id) => asked.delete(id)), ASK);
    quiet();
  }
}

function take({ times, opened }) {
  for (const [id, [revision, step, number, bars]] of Object.entries(times)) {
    const row = byId.get(Number(id));
    if (!row) continue;
    row.drawn = { revision, step, opened: opened[number], bars };
    redraw(row);
  }
}

/** Read some rows anew at once, as after a deed of one's own. */
async function refresh(ids) {
  ids.forEach((id) => asked.delete(id));
  await ask(ids);
}

// --- news ---------------------------------------------------------------------------------------

let mark = data.mark;
let pause = ASK;
let heard = Date.now();
let timer = 0;

async function listen() {
  if (document.hidden) return;
  try {
    const answer = await fetch(data.urls.news, {
      headers: { Accept: "application/json", "If-None-Match": `"${mark}"` },
      cache: "no-store",
      signal: AbortSignal.timeout(15_000),
    });
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(String(answer.status));
      const { revisions } = await answer.json();
      mark = answer.headers.get("ETag").replaceAll(/W\/|"/g, "");
      changed(revisions);
    }
    heard = Date.now();
    pause = ASK;
    news.textContent = "";
  } catch {
    pause = Math.min(pause * 2, 60_000);
    quiet();
  }
  timer = setTimeout(listen, pause);
}

function quiet() {
  const time = paper.clock(data.facilities[0].zone, heard / 60_000);
  news.textContent = fill(words.news_off, { time });
}

/** Draw anew what changed and is in sight; what is not is read when it comes into sight. */
function changed(revisions) {
  const stale = rows.filter((row) => row.drawn && revisions[row.id] !== undefined && revisions[row.id] !== row.drawn.revision);
  for (const row of stale) if (!elements.has(`r:${row.id}`)) row.drawn = null;
  const seen = stale.filter((row) => row.drawn).map((row) => row.id);
  if (seen.length) refresh(seen);
}

function listenAtOnce() {
  clearTimeout(timer);
  listen();
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) listen();
});
// What was booked on the sheet over the page stands there when the sheet is closed.
document.addEventListener("close", (event) => {
  if (event.target.matches(".sheet-dialog")) listenAtOnce();
}, { capture: true });

// --- choices ------------------------------------------------------------------------------------

/** Keep what is chosen in the address, and on the links to other days. */
function keep(name, values) {
  for (const link of [address, ...document.querySelectorAll(".resources-bar a[href]")]) {
    const url = link instanceof URL ? link : new URL(link.href);
    url.searchParams.delete(name);
    for (const value of values) url.searchParams.append(name, value);
    if (link !== address) link.href = url;
  }
  history.replaceState(null, "", address);
}

form.addEventListener("change", (event) => {
  if (event.target.name === "look") {
    const all = [...form.querySelectorAll("[name=look]")];
    const chosen = all.filter((each) => each.checked).map((each) => each.value);
    looks = new Set(chosen);
    keep("look", chosen.length === all.length ? [] : chosen.length ? chosen : ["none"]);
    for (const row of rows) redraw(row);
    draw();
  } else if (event.target.name !== "q") form.requestSubmit();
});
form.querySelector("[name=q]")?.addEventListener("input", arrange);

grid.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fold]");
  if (!button) return;
  const key = button.dataset.fold;
  if (!folded.delete(key)) folded.add(key);
  button.setAttribute("aria-expanded", !folded.has(key));
  keep("fold", folded.size ? [[...folded].join(",")] : []);
  arrange();
});

// --- the keyboard's place -----------------------------------------------------------------------

/** One stop of the Tab key: where the keyboard was last. */
function stay(element) {
  for (const other of grid.querySelectorAll('[data-stop][tabindex="0"]')) other.tabIndex = -1;
  if (element) element.tabIndex = 0;
  const row = element?.closest("[data-row]");
  if (!row || !element.dataset.bar) return;
  const found = byId.get(Number(row.dataset.row));
  found.focused = found.drawn?.bars[element.dataset.bar]?.b;
}

grid.addEventListener("focusin", (event) => {
  if (event.target.matches("[data-stop]")) stay(event.target);
});

/** Bring a row into sight, and give what is drawn of it. */
function reveal(number) {
  const one = shown[number];
  if (!one) return null;
  const top = tops[number];
  const room = scroll.clientHeight - head.offsetHeight;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (top + one.height > scroll.scrollTop + room) scroll.scrollTop = top + one.height - room;
  draw();
  return elements.get(one.key);
}

/** Read the paper's width; true if it is another one. */
function wide() {
  const found = Math.max(grid.clientWidth - head.firstChild.offsetWidth, 1);
  const changed = found !== across;
  across = found;
  return changed;
}

// --- and off we go ------------------------------------------------------------------------------

scale();
wide();
take(data);
arrange();
stay(grid.querySelector(".resources-time") ?? grid.querySelector("[data-stop]"));
// It opens at this moment, else at the first bar, else in the morning, where the paper is wider than the window.
const now = grid.querySelector(".resources-now:not([hidden])");
const lefts = [...grid.querySelectorAll(".resources-slot")].map((slot) => slot.offsetLeft);
if (now) scroll.scrollLeft = now.offsetLeft - (scroll.clientWidth - head.firstChild.offsetWidth) / 2;
else if (lefts.length) scroll.scrollLeft = Math.min(...lefts) - 24;
else if (data.days === 1) scroll.scrollLeft = (across * (8 - data.hours[0])) / (data.hours[1] - data.hours[0]);

let frame = 0;
scroll.addEventListener("scroll", () => {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    draw();
  });
}, { passive: true });
new ResizeObserver(() => {
  if (!wide()) return;
  for (const row of rows) redraw(row);
  draw();
}).observe(scroll);
setInterval(() => {
  for (const [key, element] of elements) {
    const row = key.startsWith("r:") && byId.get(Number(key.slice(2)));
    const line = row && element.querySelector(".resources-now");
    if (line) placeNow(row, line);
  }
}, 30_000);
timer = setTimeout(listen, ASK);

const resources = {
  data, words, paper, grid, scroll, body, byId, rows, refresh, reveal,
  shown: () => shown,
  element: (row) => elements.get(`r:${row.id}`),
  rowAt: (y) => shown[at(y)],
  top: (row) => tops[shown.indexOf(row)],
};
hand(resources, deeds(resources));
