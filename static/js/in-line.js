// A place in line: show how the time goes, and send the form again when the turn has come.

const bar = document.querySelector("[data-turn]");
const form = document.querySelector("[data-again]");
const begun = performance.now();
const wait = Number(bar?.dataset.turn);

function tick() {
  const gone = (performance.now() - begun) / 1000;
  bar.value = Math.min(gone, wait);
  if (gone < wait) setTimeout(tick, 250);
  else form?.requestSubmit();
}

if (bar) {
  bar.hidden = false;
  tick();
}
