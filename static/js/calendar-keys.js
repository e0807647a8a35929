// The begins of a week are one stop of the Tab key; arrow keys go from one to the next.

let days = [];
let all = [];

start();
document.addEventListener("yiqi:redrawn", start);

function start() {
  const paper = document.querySelector("[data-week]");
  days = [...(paper?.querySelectorAll("[data-day]") ?? [])].map((day) => [...day.querySelectorAll(".begin a")]);
  all = days.flat();
  if (!all.length) return;
  for (const link of all) link.tabIndex = -1;
  all[0].tabIndex = 0;
  paper.addEventListener("keydown", move);
  paper.addEventListener("focusin", (event) => {
    if (all.includes(event.target)) stay(event.target);
  });
}

function move(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const day = days.findIndex((links) => links.includes(event.target));
  if (day < 0) return;
  const place = days[day].indexOf(event.target);
  const next = {
    ArrowUp: () => days[day][place - 1],
    ArrowDown: () => days[day][place + 1],
    ArrowLeft: () => nearest(days.slice(0, day).reverse(), event.target),
    ArrowRight: () => nearest(days.slice(day + 1), event.target),
    Home: () => days[day][0],
    End: () => days[day].at(-1),
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next()?.focus();
}

/** The begin at the same height, or the nearest to it, on the first of these days that has any. */
function nearest(others, from) {
  const height = (link) => link.getBoundingClientRect().top;
  const links = others.find((day) => day.length) ?? [];
  return [...links].sort(
    (a, b) => Math.abs(height(a) - height(from)) - Math.abs(height(b) - height(from)),
  )[0];
}

function stay(link) {
  for (const other of all) other.tabIndex = other === link ? 0 : -1;
}
