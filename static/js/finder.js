// A search whose facets ask by themselves: the answer is fetched and put in place, the address follows, back goes back.
// Without this the form is sent as any other.

import { dress as dressDrawers } from "./drawer.js";
import { start as startMaps } from "./map.js";

const form = document.querySelector("[data-finder]");
const live = form?.querySelector("[data-live]");
let running = null;

if (form) {
  dress();
  form.addEventListener("change", ({ target }) => {
    if (target.matches("[data-auto], [name=sort], [name=part], [name=days], [name=near], [name=within_km]")) go(asked());
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(asked(), { question: true, focus: "#offers-title" });
  });
  form.addEventListener("click", (event) => {
    const link = event.target.closest("[data-swap] a[href]");
    const plain = !event.defaultPrevented && event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
    if (!link || !plain || new URL(link.href).pathname !== location.pathname || link.hash) return;
    event.preventDefault();
    go(link.href, { question: true, focus: "#offers-title" });
  });
  window.addEventListener("popstate", () => go(location.href, { question: true, push: false }));
}

// The address that says what the form asks, without what it leaves open.
function asked() {
  const fields = new URLSearchParams();
  const several = new Map();
  const given = new FormData(form);
  if (!given.get("ability")) given.delete("limit");
  for (const [name, value] of given) {
    if (value === "" || (name === "quantity" && value === "1") || (name === "sort" && value === "earliest")) continue;
    several.set(name, [...(several.get(name) ?? []), value]);
  }
  for (const [name, values] of several) {
    // A need with a figure stands in a hidden field beside the boxes of abilities.
    const plain = [...new Set(values.flatMap((value) => (name === "capability" ? value.split(",") : [value])))];
    for (const value of name === "capability" ? kept(plain) : plain) fields.append(name, value);
  }
  return `${form.getAttribute("action")}?${fields}`;
}

// Of abilities the boxes say which count, and the hidden field what has a figure.
function kept(tags) {
  const boxes = [...form.querySelectorAll("input[type=checkbox][name=capability]")];
  return tags.filter((tag) => boxes.every((box) => box.value !== tag || box.checked));
}

async function go(address, { question = false, push = true, focus = null } = {}) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const answer = region(document, "answer");
  answer.setAttribute("aria-busy", "true");
  live.textContent = form.dataset.asking;
  try {
    const response = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!region(page, "answer")) throw new Error("no answer");
    if (push) history.pushState(null, "", response.url);
    swap(page, question || response.status === 422);
    live.textContent = (form.querySelector("[data-focus-first]") ?? form.querySelector("[data-summary]")).textContent.trim();
    const goal = form.querySelector("[data-focus-first]") ?? (focus && form.querySelector(focus));
    if (goal) goal.focus();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  } finally {
    if (running === mine) answer.removeAttribute("aria-busy");
  }
}

function region(root, name) {
  return root.querySelector(`[data-swap="${name}"]`);
}

function swap(page, question) {
  const focused = document.activeElement?.id;
  const open = new Map([...form.querySelectorAll("details[id]")].map((fold) => [fold.id, fold.open]));
  for (const name of ["errors", ...(question ? ["question"] : []), "facets", "answer"]) {
    region(document, name).replaceWith(document.adoptNode(region(page, name)));
  }
  const capability = page.querySelector("[data-finder] > input[name=capability]");
  form.querySelector(":scope > input[name=capability]")?.remove();
  if (capability) form.append(document.adoptNode(capability));
  dress();
  for (const [id, was] of open) {
    const fold = document.getElementById(id);
    if (fold) fold.open = was;
  }
  startMaps(form);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

// What only scripts need, and what only pages without them do.
function dress() {
  for (const one of form.querySelectorAll("[data-plain-only]")) one.hidden = true;
  dressDrawers(form);
  const button = form.querySelector("[data-where-i-am]:not([data-ready])");
  if (!button || !navigator.geolocation) return;
  button.hidden = false;
  button.dataset.ready = "";
  button.addEventListener("click", () => locate(button));
}

// The browser says where it is only now, and only to about a kilometre: the address is shared with others.
function locate(button) {
  const answer = form.querySelector("[data-where-answer]");
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      const here = `${coords.latitude.toFixed(2)},${coords.longitude.toFixed(2)}`;
      const near = form.elements.namedItem("near");
      near.append(new Option(here, here, true, true));
      const address = new URL(asked(), location.href);
      address.searchParams.set("sort", "nearest");
      go(address.href, { question: true, focus: "#offers-title" });
    },
    () => {
      answer.textContent = button.dataset.refused;
    },
    { timeout: 10000, maximumAge: 600000 },
  );
}
