// A screen on a wall: its clock, its pages by turns, and news from the server as they come.
// What the server said last stays when it is away. Everything moves a little with time, so that nothing burns in.

const TURN = 12000;
const wall = document.querySelector("#wall");
const clock = document.querySelector("[data-clock]");
const state = document.querySelector("[data-state]");
const turn = document.querySelector("[data-turn]");
const time = new Intl.DateTimeFormat(clock.dataset.locale, {
  timeZone: clock.dataset.zone,
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(clock.dataset.locale, {
  timeZone: clock.dataset.zone,
  month: "short",
  day: "numeric",
  weekday: "short",
});

let shown = 0;
let heard = new Date();

function tick() {
  const now = new Date();
  clock.textContent = `${day.format(now)} ${time.format(now)}`;
  document.documentElement.dataset.shift = Math.floor(now.getTime() / 300000) % 4;
}

function show(number) {
  const pages = wall.querySelectorAll("[data-page]");
  shown = pages.length ? number % pages.length : 0;
  pages.forEach((page, at) => {
    page.hidden = at !== shown;
  });
  if (turn) {
    turn.textContent = `${shown + 1} / ${pages.length}`;
  }
}

async function ask() {
  try {
    const answer = await fetch(location.pathname, { cache: "no-cache", signal: AbortSignal.timeout(15000) });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#wall");
    if (next && next.innerHTML !== wall.dataset.last) {
      wall.dataset.last = next.innerHTML;
      wall.replaceChildren(...next.childNodes);
      show(shown);
    }
    heard = new Date();
    state.textContent = "";
  } catch {
    state.textContent = state.dataset.away.replace("{time}", time.format(heard));
  }
}

tick();
show(0);
setInterval(tick, 1000);
setInterval(() => show(shown + 1), TURN);
setInterval(ask, Number(wall.dataset.wall) * 1000);
