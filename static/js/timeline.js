// The timeline without a mouse and with one: arrows go from bar to bar, details stand beside, words filter rows.

const timeline = document.querySelector("[data-timeline]");
const filter = document.querySelector('[data-filter="timeline"]');

if (timeline) {
  const rows = [...timeline.querySelectorAll(".timeline-row")];
  const bars = (row) => [...row.querySelectorAll("[data-bar]")];
  const shown = () => rows.filter((row) => !row.hidden);

  timeline.addEventListener("keydown", (event) => {
    const bar = event.target.closest("[data-bar]");
    const next = bar && goal(event.key, bar);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });

  function goal(key, bar) {
    const row = bar.closest(".timeline-row");
    const own = bars(row);
    const at = own.indexOf(bar);
    switch (key) {
      case "ArrowRight": return own[at + 1];
      case "ArrowLeft": return own[at - 1];
      case "Home": return own[0];
      case "End": return own.at(-1);
      case "ArrowDown": return nearest(bar, shown().slice(shown().indexOf(row) + 1));
      case "ArrowUp": return nearest(bar, shown().slice(0, shown().indexOf(row)).reverse());
      default: return null;
    }
  }

  // The bar of the next row that has any whose middle is closest.
  function nearest(bar, candidates) {
    const row = candidates.find((each) => bars(each).length);
    if (!row) return null;
    const middle = (one) => {
      const box = one.getBoundingClientRect();
      return box.left + box.width / 2;
    };
    const here = middle(bar);
    return bars(row).reduce((best, one) => (Math.abs(middle(one) - here) < Math.abs(middle(best) - here) ? one : best));
  }

  // Details: the words of the title, without the browser's delay, and for the keyboard too.
  const card = document.createElement("div");
  card.className = "bar-card";
  card.hidden = true;
  card.setAttribute("aria-hidden", "true"); // the bar itself says the same
  document.body.append(card);
  for (const bar of timeline.querySelectorAll(".bar-link[title]")) {
    bar.dataset.details = bar.title;
    bar.removeAttribute("title");
  }
  const show = (event) => {
    const bar = event.target.closest?.(".bar-link");
    card.hidden = !bar;
    if (!bar) return;
    card.textContent = bar.dataset.details;
    const box = bar.getBoundingClientRect();
    const left = Math.min(Math.max(box.left, 8), window.innerWidth - card.offsetWidth - 8);
    const below = box.bottom + 6 + card.offsetHeight < window.innerHeight;
    card.style.left = `${left}px`;
    card.style.top = `${below ? box.bottom + 6 : box.top - card.offsetHeight - 6}px`;
  };
  const hide = () => { card.hidden = true; };
  timeline.addEventListener("pointerover", show);
  timeline.addEventListener("pointerleave", hide);
  timeline.addEventListener("focusin", show);
  timeline.addEventListener("focusout", hide);
  timeline.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  filter?.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const words = row.dataset.words.toLowerCase();
      row.hidden = !wanted.every((word) => words.includes(word));
    }
  });

  // It opens at this moment, else at the first bar, not at midnight.
  const now = timeline.querySelector(".lane-back > .now");
  const name = timeline.querySelector(".timeline-corner").offsetWidth;
  const lefts = [...timeline.querySelectorAll(".bar")].map((bar) => bar.offsetLeft);
  if (now) timeline.scrollLeft = now.offsetLeft - (timeline.clientWidth - name) / 2;
  else if (lefts.length) timeline.scrollLeft = Math.min(...lefts) - 24;
}
