// Drag over the week to choose a time: a ghost follows the pointer, and the form beside takes what it covers.
// Times are the facility's wall clock, written as forms send them, 2026-11-02T09:00.
// Touch scrolls as ever; begins are links and the form can be typed, so nothing here is needed.

const form = document.querySelector("[data-pick]");

const MINUTE = 60_000;
const HOUR = 60;
const DAY = 24 * 60;

if (form) follow(form, (from, to) => draw(paperNow())?.(from, to));
if (form) listenNow();
// A calendar that was drawn again, as after a booking made over it, is listened to again.
document.addEventListener("yiqi:redrawn", () => { if (form) listenNow(); });

function paperNow() {
  return document.querySelector("[data-week]");
}

function listenNow() {
  const week = paperNow();
  if (week) listen(week, form);
}

/** Read a wall-clock time as minutes; no zone is meant, so all days have 24 hours here. */
function minutes(text) {
  const time = Date.parse(`${text}Z`);
  return Number.isNaN(time) ? null : time / MINUTE;
}

function written(time) {
  return new Date(time * MINUTE).toISOString().slice(0, 16);
}

/** Keep the length beside the fields and the ghost on the paper in step with what is typed. */
function follow(pick, show) {
  const start = pick.querySelector("[data-start]");
  const end = pick.querySelector("[data-end]");
  const said = pick.querySelector("[data-length]");
  const tell = () => {
    const from = minutes(start.value);
    const to = minutes(end.value);
    const known = from !== null && to !== null && to > from;
    said.textContent = known ? pick.dataset.words.replace("{length}", length(pick, to - from)) : "";
    if (known) show(from, to);
  };
  start.addEventListener("change", () => {
    // The end moves along, so that the length stays as it was chosen.
    const before = minutes(start.dataset.before ?? "");
    const from = minutes(start.value);
    const to = minutes(end.value);
    if (before !== null && from !== null && to !== null && to > before) end.value = written(to + from - before);
    start.dataset.before = start.value;
    tell();
  });
  end.addEventListener("change", tell);
  pick.addEventListener("pick", tell);
  start.dataset.before = start.value;
  if (start.value && end.value) {
    said.textContent = pick.dataset.words.replace(
      "{length}",
      length(pick, minutes(end.value) - minutes(start.value)),
    );
  }
}

function length(pick, whole) {
  const parts = [
    [pick.dataset.day, Math.floor(whole / DAY)],
    [pick.dataset.hour, Math.floor((whole % DAY) / HOUR)],
    [pick.dataset.minute, whole % HOUR],
  ];
  return parts
    .filter(([, number]) => number)
    .map(([words, number]) => words.replace("{n}", number))
    .join(" ");
}

/** Give a function that draws one ghost in each day that a time covers. */
function draw(paper) {
  if (!paper) return null;
  const first = Number(paper.dataset.firstHour) * HOUR;
  const last = first + Number(paper.dataset.hours) * HOUR;
  return (from, to, fits = true) => {
    for (const old of paper.querySelectorAll(".ghost")) old.remove();
    for (const day of paper.querySelectorAll("[data-day]")) {
      const midnight = minutes(`${day.dataset.day}T00:00`);
      const start = Math.max(from, midnight + first);
      const end = Math.min(to, midnight + last);
      if (start >= end) continue;
      const ghost = document.createElement("li");
      ghost.className = fits ? "ghost block" : "ghost block bad";
      ghost.setAttribute("aria-hidden", "true");
      ghost.style.gridRowStart = Math.floor((start - midnight - first) / 15) + 1;
      ghost.style.gridRowEnd = `span ${Math.max(1, Math.ceil((end - start) / 15))}`;
      if (start === from) ghost.textContent = ` ${written(from).slice(11)}–${written(to).slice(11)}`;
      day.querySelector(".day-times").append(ghost);
    }
  };
}

function listen(paper, pick) {
  const first = Number(paper.dataset.firstHour) * HOUR;
  const step = Number(paper.dataset.step);
  const shortest = Number(paper.dataset.shortest);
  const longest = Number(paper.dataset.longest ?? Number.POSITIVE_INFINITY);
  const rooms = [...paper.querySelectorAll("[data-from]")]
    .map((block) => ({ from: minutes(block.dataset.from), to: minutes(block.dataset.to) }))
    .sort((a, b) => a.from - b.from)
    // Stretches that touch, as over midnight or where units come free, are one room.
    .reduce((joined, room) => {
      const before = joined.at(-1);
      if (before && before.to >= room.from) before.to = Math.max(before.to, room.to);
      else joined.push({ ...room });
      return joined;
    }, []);
  const show = draw(paper);
  let drag = null;

  for (const hint of pick.querySelectorAll(".with-drag")) hint.hidden = false;
  for (const hint of pick.querySelectorAll(".without-drag")) hint.hidden = true;

  const at = (event) => {
    const days = [...paper.querySelectorAll("[data-day]")];
    const column = days.find((day) => {
      const box = day.getBoundingClientRect();
      return event.clientX >= box.left && event.clientX < box.right;
    });
    if (!column) return null;
    const times = column.querySelector(".day-times");
    const box = times.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 1);
    return minutes(`${column.dataset.day}T00:00`) + first + part * Number(paper.dataset.hours) * HOUR;
  };
  const down = (time) => Math.floor(time / step) * step;
  const up = (time) => Math.ceil(time / step) * step;

  const span = (one, other) => {
    let from = Math.max(down(Math.min(one, other)), drag.room.from);
    let to = Math.min(up(Math.max(one, other)), drag.room.to);
    from = up(from);
    to = down(to);
    if (other < one) from = Math.max(from, to - longest);
    else to = Math.min(to, from + longest);
    if (to - from < shortest) {
      if (other < one) from = Math.max(to - shortest, up(drag.room.from));
      to = from + shortest;
    }
    return { from, to, fits: to <= drag.room.to };
  };

  paper.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    const time = at(event);
    const room = time === null ? undefined : rooms.find((free) => free.from <= time && time < free.to);
    if (room) drag = { time, room, x: event.clientX, y: event.clientY, moved: false, id: event.pointerId };
  });
  paper.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    if (!drag.moved && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 5) return;
    if (!drag.moved) {
      drag.moved = true;
      paper.setPointerCapture(drag.id);
      paper.classList.add("dragging");
    }
    const time = at(event);
    if (time === null) return;
    drag.span = span(drag.time, time);
    show(drag.span.from, drag.span.to, drag.span.fits);
  });
  const finish = (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const { moved, span: chosen } = drag;
    drag = null;
    paper.classList.remove("dragging");
    if (!moved || !chosen || event.type === "pointercancel") return;
    // The click that follows would open the begin under the pointer.
    paper.addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    setTimeout(() => paper.dispatchEvent(new Event("click")), 0);
    const start = pick.querySelector("[data-start]");
    start.value = written(chosen.from);
    start.dataset.before = start.value;
    pick.querySelector("[data-end]").value = written(chosen.to);
    pick.dispatchEvent(new Event("pick"));
    // Who opens the booking sheet over the calendar takes it from here; else the form beside waits to be sent.
    const taken = !document.dispatchEvent(new CustomEvent("yiqi:dragged", { cancelable: true, detail: pick }));
    if (!taken) pick.querySelector("[type=submit]").scrollIntoView({ block: "nearest" });
  };
  paper.addEventListener("pointerup", finish);
  paper.addEventListener("pointercancel", finish);
  // Links and texts would be dragged instead.
  paper.addEventListener("dragstart", (event) => event.preventDefault());
}
