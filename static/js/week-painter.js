// Opening hours painted on a week of 7 days by 48 half hours. What is painted is written into the field of typed
// hours (`data-paint` names it), which is what is sent; what is typed there is drawn. Times between half hours stay
// as they are until they are painted over.

const NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY = 1440;
const STEP = 30;

for (const box of document.querySelectorAll("[data-paint]")) painter(box);

function painter(box) {
  const field = document.getElementById(box.dataset.paint);
  const table = box.querySelector("table");
  const said = box.querySelector("[data-said]");
  const days = box.dataset.days.split("|");
  const cells = [];
  let week = read(field.value);
  let brush = null;
  let here = [0, 16];
  if (week === null && field.value.trim()) week = empty(); // what cannot be read is mended by typing or painting

  build();
  box.hidden = false;
  draw();
  const wide = table.parentElement; // where the whole day does not fit, it begins with the morning
  wide.scrollLeft = (wide.scrollWidth - wide.clientWidth) / 3;

  field.addEventListener("input", () => {
    week = read(field.value) ?? week;
    draw();
  });
  for (const button of box.querySelectorAll("[data-week]")) {
    button.addEventListener("click", () => {
      field.value = button.dataset.week.replaceAll("; ", "\n");
      week = read(field.value);
      draw();
    });
  }

  function build() {
    const head = table.createTHead().insertRow();
    head.append(element("td"));
    for (let hour = 0; hour < 24; hour += 1) {
      const cell = element("th", { scope: "col", colSpan: 2 });
      cell.append(element("span", { className: hour % 3 ? "visually-hidden" : "", textContent: String(hour) }));
      head.append(cell);
    }
    head.append(element("td"));
    const body = table.createTBody();
    days.forEach((name, day) => {
      const row = body.insertRow();
      row.append(element("th", { scope: "row", textContent: name }));
      cells.push([]);
      for (let slot = 0; slot < DAY / STEP; slot += 1) {
        const cell = element("td", { role: "gridcell", tabIndex: -1 });
        cell.dataset.at = `${day}-${slot}`;
        row.append(cell);
        cells[day].push(cell);
      }
      row.append(copier(name, day));
    });
    table.addEventListener("pointerdown", begin);
    table.addEventListener("pointermove", go);
    for (const end of ["pointerup", "pointercancel"]) table.addEventListener(end, stop);
    table.addEventListener("keydown", key);
    focusable();
  }

  function copier(name, day) {
    const cell = element("td", { className: "paint-copy" });
    const choose = element("select", { className: "control" });
    choose.setAttribute("aria-label", box.dataset.copy.replace("{day}", name));
    choose.append(new Option(box.dataset.to, ""));
    for (const [key, words] of [["0123456", box.dataset.everyday], ["01234", box.dataset.weekdays], ["56", box.dataset.weekend]]) {
      choose.append(new Option(words, key));
    }
    choose.addEventListener("change", () => {
      const from = shown()[day];
      week = shown();
      for (const to of choose.value) week[Number(to)] = from.map((span) => [...span]);
      choose.value = "";
      write();
    });
    cell.append(choose);
    return cell;
  }

  function begin(event) {
    const at = place(event.target);
    if (!at || event.button > 0) return;
    event.preventDefault();
    table.setPointerCapture(event.pointerId);
    brush = { from: at, on: !open(at), before: copy(shown()) };
    move(at);
    paint(at);
  }

  function go(event) {
    if (!brush) return;
    const at = place(document.elementFromPoint(event.clientX, event.clientY));
    if (at) paint(at);
  }

  function stop() {
    if (!brush) return;
    brush = null;
    write();
  }

  function paint(to) {
    week = copy(brush.before);
    const [first, last] = ordered(brush.from[0], to[0]);
    const [begins, ends] = ordered(brush.from[1], to[1]);
    for (let day = first; day <= last; day += 1) {
      week[day] = put(week[day], begins * STEP, (ends + 1) * STEP, brush.on);
    }
    draw();
  }

  function key(event) {
    const at = place(event.target);
    if (!at) return;
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (way) {
      const to = [clamp(at[0] + way[0], 6), clamp(at[1] + way[1], 47)];
      if (event.shiftKey) set(to, open(at));
      move(to, true);
    } else if (event.key === " " || event.key === "Enter") set(at, !open(at));
    else if (event.key === "Home") move([at[0], 0], true);
    else if (event.key === "End") move([at[0], 47], true);
    else return;
    event.preventDefault();
  }

  function set([day, slot], on) {
    week = copy(shown());
    week[day] = put(week[day], slot * STEP, (slot + 1) * STEP, on);
    write();
  }

  function write() {
    field.value = text(week);
    draw();
  }

  function draw() {
    const now = shown();
    cells.forEach((row, day) => row.forEach((cell, slot) => {
      const part = covered(now[day], slot * STEP, (slot + 1) * STEP);
      const state = part === STEP ? "open" : part ? "partly" : "closed";
      cell.dataset.state = state;
      cell.setAttribute("aria-selected", String(state === "open"));
      cell.setAttribute("aria-label", `${days[day]} ${clock(slot * STEP)}, ${box.dataset[state]}`);
    }));
    table.classList.toggle("follows", week === null);
    const hours = now.flat().reduce((sum, [opens, closes]) => sum + closes - opens, 0) / 60;
    const words = box.dataset.hours.replace("{n}", hours.toLocaleString(document.documentElement.lang));
    said.textContent = week === null && box.dataset.usual ? `${words}. ${box.dataset.follows}` : words;
  }

  function shown() {
    return week ?? read(box.dataset.usual) ?? empty();
  }

  function open([day, slot]) {
    return cells[day][slot].dataset.state === "open";
  }

  function place(target) {
    const at = target?.closest?.("[data-at]");
    return at && table.contains(at) ? at.dataset.at.split("-").map(Number) : null;
  }

  function move(at, focus = false) {
    here = at;
    focusable();
    if (focus) cells[at[0]][at[1]].focus();
  }

  function focusable() {
    for (const cell of table.querySelectorAll("[tabindex='0']")) cell.tabIndex = -1;
    cells[here[0]][here[1]].tabIndex = 0;
  }
}

// Seven lists of [opens, closes] in minutes; null where nothing is typed or it cannot be read.
function read(typed) {
  const whole = typed.trim();
  if (!whole) return null;
  if (/^(always|24\/7)$/i.test(whole)) return NAMES.map(() => [[0, DAY]]);
  const found = empty();
  for (const line of whole.split(/[;\n]/)) {
    const part = line.trim();
    if (!part) continue;
    const match = /^([A-Za-z, \-–]+)\s+(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})$/.exec(part);
    const named = match && weekdays(match[1]);
    if (!named) return null;
    const opens = Number(match[2]) * 60 + Number(match[3]);
    const closes = Number(match[4]) * 60 + Number(match[5]);
    if (opens >= closes || closes > DAY) return null;
    for (const day of named) found[day] = put(found[day], opens, closes, true);
  }
  return found;
}

function weekdays(words) {
  const found = [];
  for (const part of words.split(",")) {
    const ends = part.split(/[-–]/).map((end) => NAMES.findIndex((name) => name.toLowerCase() === end.trim().slice(0, 3).toLowerCase()));
    if (ends.includes(-1) || ends.length > 2) return null;
    const first = ends[0];
    const last = ends[ends.length - 1];
    for (let day = first; ; day = (day + 1) % 7) {
      found.push(day);
      if (day === last) break;
    }
  }
  return found;
}

// Days with the same hours that follow each other stand in one line.
function text(week) {
  if (week.every((spans) => spans.length === 1 && spans[0][0] === 0 && spans[0][1] === DAY)) return "always";
  const lines = [];
  const said = week.map((spans) => spans.map(([opens, closes]) => `${clock(opens)}-${clock(closes)}`));
  for (let day = 0; day < 7; ) {
    let last = day;
    while (last < 6 && said[last + 1].join() === said[day].join()) last += 1;
    const name = last > day ? `${NAMES[day]}-${NAMES[last]}` : NAMES[day];
    for (const span of said[day]) lines.push(`${name} ${span}`);
    day = last + 1;
  }
  return lines.join("\n");
}

function put(spans, opens, closes, on) {
  const rest = spans.flatMap(([from, to]) => [[from, Math.min(to, opens)], [Math.max(from, closes), to]]).filter(([from, to]) => from < to);
  if (!on) return rest;
  const found = [];
  for (const span of [...rest, [opens, closes]].sort((one, other) => one[0] - other[0])) {
    const last = found[found.length - 1];
    if (last && last[1] >= span[0]) last[1] = Math.max(last[1], span[1]);
    else found.push([...span]);
  }
  return found;
}

function covered(spans, opens, closes) {
  return spans.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(to, closes) - Math.max(from, opens)), 0);
}

function clock(minute) {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

function empty() {
  return NAMES.map(() => []);
}

function copy(week) {
  return week.map((spans) => spans.map((span) => [...span]));
}

function ordered(one, other) {
  return one < other ? [one, other] : [other, one];
}

function clamp(value, most) {
  return Math.max(0, Math.min(most, value));
}

function element(tag, properties = {}) {
  const { role, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (role) made.setAttribute("role", role);
  return made;
}
