// Places on a map. Leaflet comes only once a map is seen: one in a closed fold waits until it is opened.
//
// <div data-map data-places='[{code, name, lat, lon, count, …}]'>: see templates/parts/map.html, whose macro writes it.
// Markup that comes later is started by `start(root)`. Coordinates are WGS 84.

const NEAR = 44; // places closer than so many pixels share a circle
const SMALLEST = 34;
const LARGEST = 60;
const LINES = [30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]; // degrees between two lines of the ground
const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
let library = null;

start(document);

export function start(root) {
  for (const box of root.querySelectorAll("[data-map]:not([data-started])")) {
    box.dataset.started = "";
    const fold = box.closest("details");
    if (fold && !fold.open) fold.addEventListener("toggle", () => fold.open && open(box));
    else open(box);
  }
}

async function open(box) {
  if (box.dataset.opened !== undefined) return;
  box.dataset.opened = "";
  try {
    library ??= Promise.all([sheet(box.dataset.style), import(box.dataset.script)]);
    await library;
  } catch {
    library = null;
    delete box.dataset.opened;
    return; // the words beside it stay
  }
  if (box.isConnected) draw(box);
}

function sheet(href) {
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", reject);
    document.head.prepend(link); // our own sheets come after it and win
  });
}

function draw(box) {
  const L = window.L;
  const places = JSON.parse(box.dataset.places);
  const here = box.dataset.here ? JSON.parse(box.dataset.here) : null;
  box.hidden = false;
  const map = L.map(box, {
    zoomControl: false,
    scrollWheelZoom: false,
    attributionControl: Boolean(box.dataset.tiles),
    zoomAnimation: !still,
    fadeAnimation: !still,
    markerZoomAnimation: !still,
    minZoom: 2,
    maxZoom: 17,
    worldCopyJump: true,
  });
  map.on("focus", () => map.scrollWheelZoom.enable());
  map.on("blur", () => map.scrollWheelZoom.disable());
  L.control.zoom({ zoomInTitle: box.dataset.nearer, zoomOutTitle: box.dataset.farther }).addTo(map);
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  const points = [...places, ...(here ? [here] : [])].map((place) => [place.lat, place.lon]);
  if (points.length) map.fitBounds(L.latLngBounds(points).pad(0.15), { maxZoom: 12, animate: false });
  else map.setView([23, 113.7], 7, { animate: false });

  if (box.dataset.tiles) {
    map.attributionControl.setPrefix(false);
    const words = document.createElement("span");
    words.textContent = box.dataset.attribution;
    L.tileLayer(box.dataset.tiles, { attribution: words.innerHTML, maxZoom: 17 }).addTo(map);
  } else {
    ground(L, map, places);
  }
  if (here) {
    const mark = L.divIcon({ className: "map-here", iconSize: [16, 16] });
    L.marker([here.lat, here.lon], { icon: mark, keyboard: false, interactive: false, alt: here.name }).addTo(map);
  }
  const circles = L.layerGroup().addTo(map);
  const gather = () => {
    circles.clearLayers();
    const groups = together(map, places);
    const most = Math.max(1, ...groups.map((group) => sum(group.places)));
    for (const group of groups) circle(L, box, group, most).addTo(circles);
  };
  map.on("zoomend", gather);
  gather();
  new ResizeObserver(() => box.isConnected && map.invalidateSize({ animate: false })).observe(box);
}

// Places whose circles would cover each other, as one.
function together(map, places) {
  const groups = [];
  for (const place of [...places].sort((a, b) => (b.count ?? 0) - (a.count ?? 0))) {
    const at = map.project([place.lat, place.lon]);
    const group = groups.find((each) => each.at.distanceTo(at) < NEAR);
    if (group) group.places.push(place);
    else groups.push({ at, places: [place] });
  }
  return groups;
}

function sum(places) {
  return places.reduce((total, place) => total + (place.count ?? 0), 0);
}

function circle(L, box, { places }, most) {
  const [first] = places;
  const counted = places.every((place) => place.count !== undefined);
  const total = sum(places);
  const share = places.length === 1 && first.size !== undefined ? first.size : Math.sqrt(Math.min(1, total / most));
  const size = Math.round(SMALLEST + (LARGEST - SMALLEST) * share);
  const face = document.createElement("span");
  face.textContent = places.length === 1 && first.label !== undefined ? first.label : counted ? total : places.length;
  const tone = places.every((place) => place.tone === first.tone) && first.tone ? ` map-${first.tone}` : "";
  const several = places.length > 1 ? " map-several" : "";
  const name = places.length === 1 ? first.name : `${box.dataset.several}: ${places.map((each) => each.name).join(", ")}`;
  const marker = L.marker([first.lat, first.lon], {
    icon: L.divIcon({ className: `map-circle${tone}${several}`, html: face, iconSize: [size, size] }),
    title: name,
    alt: name,
    riseOnHover: true,
  });
  marker.bindPopup(() => list(places), { maxHeight: 220, closeButton: false, autoPanPadding: [20, 20] });
  marker.on("add", () => marker.getElement().setAttribute("aria-label", `${name}: ${face.textContent}`));
  marker.on("popupopen", (event) => event.popup.getElement().querySelector("a")?.focus({ preventScroll: true }));
  marker.on("keydown", ({ originalEvent }) => {
    if (originalEvent.key !== "Enter" && originalEvent.key !== " ") return;
    originalEvent.preventDefault();
    marker.openPopup();
  });
  return marker;
}

function list(places) {
  const words = document.createElement("ul");
  words.className = "map-list";
  for (const place of places) {
    const line = document.createElement("li");
    const name = document.createElement(place.href ? "a" : "strong");
    name.textContent = place.name;
    if (place.href) name.href = place.href;
    line.append(name);
    const more = [place.label ?? place.count, place.note].filter((part) => part !== undefined && part !== "");
    if (place.note || place.label !== undefined) {
      const note = document.createElement("span");
      note.textContent = place.note ?? more.join(" · ");
      line.append(note);
    }
    words.append(line);
  }
  return words;
}

// A plain ground: lines of latitude and longitude with their degrees, and the names of towns.
function ground(L, map, places) {
  const lines = L.layerGroup().addTo(map);
  const rule = () => {
    lines.clearLayers();
    const bounds = map.getBounds();
    const wide = bounds.getEast() - bounds.getWest();
    const most = Math.max(2, map.getSize().x / 110);
    const step = LINES.findLast((degrees) => wide / degrees <= most) ?? LINES[0];
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    const along = (from, to) => {
      const found = [];
      for (let n = Math.ceil(from / step); n * step <= to; n += 1) found.push(n * step);
      return found;
    };
    const line = (ends) => L.polyline(ends, { className: "map-line", weight: 1, interactive: false }).addTo(lines);
    const words = (at, text, side) =>
      L.marker(at, {
        icon: L.divIcon({ className: `map-degrees map-${side}`, html: text, iconSize: null }),
        interactive: false,
        keyboard: false,
      }).addTo(lines);
    const [south, north] = [Math.max(-85, bounds.getSouth()), Math.min(85, bounds.getNorth())];
    for (const lat of along(south, north)) {
      line([[lat, bounds.getWest()], [lat, bounds.getEast()]]);
      words([lat, bounds.getEast()], `${Math.abs(lat).toFixed(digits)}° ${lat < 0 ? "S" : "N"}`, "east");
    }
    for (const lon of along(bounds.getWest(), bounds.getEast())) {
      line([[south, lon], [north, lon]]);
      words([north, lon], `${Math.abs(lon).toFixed(digits)}° ${lon < 0 ? "W" : "E"}`, "north");
    }
  };
  map.on("moveend", rule);
  rule();
  const towns = new Map();
  for (const place of places) {
    if (place.town) towns.set(place.town, [...(towns.get(place.town) ?? []), place]);
  }
  for (const [town, its] of towns) {
    const middle = (name) => its.reduce((sum, place) => sum + place[name], 0) / its.length;
    const icon = L.divIcon({ className: "map-town", html: Object.assign(document.createElement("span"), { textContent: town }), iconSize: null });
    L.marker([middle("lat"), middle("lon")], { icon, interactive: false, keyboard: false, zIndexOffset: -1000 }).addTo(map);
  }
}
