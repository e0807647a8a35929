// The pointer and the keys of the timeline. A bar is dragged to another time or an instrument of the same kind, its
// ends to change its length, empty time to book it; a finger presses long first. The keys do the same: M, then arrows.

const STARTS = 5; // pixels before a press becomes a drag
const LONG = 450; // milliseconds of a long press
const END = 8; // pixels of a bar's ends
const NEAR = 48; // pixels from the edge of the window in which it scrolls
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export function hand(resources, deeds) {
  const { paper, body, grid, scroll, words } = resources;
  const said = document.querySelector("[data-resources-said]");
  let drag = null;
  let pressed = 0;

  // --- what is under the pointer --------------------------------------------------------------------

  const rowOf = (element) => resources.byId.get(Number(element?.closest("[data-row]")?.dataset.row));
  const barOf = (element) => rowOf(element)?.drawn?.bars[element.closest("[data-bar]")?.dataset.bar];
  const timeOf = (row) => resources.element(row)?.querySelector(".resources-time");

  function timeAt(row, x, step = 1) {
    const edge = (timeOf(row) ?? body.querySelector(".resources-time")).getBoundingClientRect();
    return paper.time(row.facility.zone, (x - edge.left) / edge.width, step);
  }

  function rowAt(y) {
    const one = resources.rowAt(y - body.getBoundingClientRect().top);
    return one && !one.count ? one : null;
  }

  // --- the ghost ------------------------------------------------------------------------------------

  const ghost = document.createElement("div");
  ghost.className = "resources-ghost";
  ghost.setAttribute("aria-hidden", "true");
  const ghostWords = document.createElement("span");
  ghost.append(ghostWords);

  function drawGhost(row, span, fits) {
    const time = timeOf(row);
    if (!time) return;
    const left = paper.place(row.facility.zone, span.from);
    const right = paper.place(row.facility.zone, span.to);
    const across = time.offsetWidth;
    ghost.classList.toggle("bad", !fits);
    ghost.style.left = `${time.offsetLeft + left * across}px`;
    ghost.style.width = `${Math.max((right - left) * across, 8)}px`;
    ghost.style.top = `${resources.top(row) + 4}px`;
    ghost.style.height = `${row.height - 8}px`;
    ghostWords.textContent = paper.times(row.facility.zone, span.from, span.to);
    if (!ghost.isConnected) body.append(ghost);
  }

  /** Back to where it came from, so that one sees that nothing was changed. */
  function flyBack(row, span) {
    ghost.classList.add("back");
    drawGhost(row, span, false);
    setTimeout(clear, STILL.matches ? 0 : 260);
  }

  function clear() {
    ghost.remove();
    ghost.classList.remove("back", "waits", "bad");
    for (const one of grid.querySelectorAll(".dragged")) one.classList.remove("dragged");
    grid.classList.remove("dragging");
  }

  // --- dragging -------------------------------------------------------------------------------------

  grid.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drag || event.target.closest("a, [data-fold]")) return;
    const row = rowOf(event.target);
    const time = event.target.closest(".resources-time");
    if (!row?.drawn || !time) return;
    const slot = event.target.closest("[data-bar]");
    drag = begin(event, row, slot);
    if (event.pointerType === "touch") pressed = setTimeout(() => start(), LONG);
  });

  function begin(event, row, slot) {
    const bar = slot ? barOf(slot) : null;
    const touched = timeAt(row, event.clientX);
    return {
      id: event.pointerId, touch: event.pointerType === "touch", x: event.clientX, y: event.clientY,
      row, target: row, slot, bar, touched, moved: false, side: slot ? sideOf(slot, event.clientX) : "", span: null, fits: true,
    };
  }

  function sideOf(slot, x) {
    const edge = slot.querySelector(".bar-use").getBoundingClientRect();
    if (edge.width < 3 * END) return "";
    if (x - edge.left < END) return "from";
    return edge.right - x < END ? "to" : "";
  }

  function start() {
    if (!drag) return;
    if (drag.bar && !drag.bar.m) {
      if (drag.bar.b) deeds.toast("error", words.refused, [words.not_yours]);
      drag = null;
      return;
    }
    drag.moved = true;
    deeds.dismiss();
    grid.classList.add("dragging");
    drag.slot?.classList.add("dragged");
    resources.element(drag.row)?.classList.add("dragged"); // drawn even where it scrolls out of sight
    navigator.vibrate?.(15);
    scroll.setPointerCapture(drag.id);
    follow(drag);
  }

  scroll.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    if (!drag.moved) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < STARTS) return;
      // A finger that moves at once scrolls.
      if (drag.touch) return stop();
      start();
      if (!drag) return;
    }
    drag.pointer = { x: event.clientX, y: event.clientY };
    follow(drag);
    pull();
  });

  function follow(one) {
    const { x, y } = one.pointer ?? one;
    const { row, bar } = one;
    const step = row.drawn.step;
    if (!bar) {
      one.span = between(row, one.touched, timeAt(row, x), step);
    } else if (one.side) {
      one.span = { from: bar.us, to: bar.ue, [one.side]: timeAt(row, x, step) };
      if (one.span.to - one.span.from < step) one.span[one.side] = one.side === "to" ? bar.us + step : bar.ue - step;
    } else {
      one.target = rowAt(y) ?? one.target;
      const from = paper.stepped(one.target.facility.zone, bar.us + timeAt(row, x) - one.touched, one.target.drawn?.step ?? step);
      one.span = { from, to: from + bar.ue - bar.us };
    }
    one.fits = one.target === row || (row.same > 0 && one.target.same === row.same);
    drawGhost(one.target, one.span, one.fits);
  }

  function between(row, one, other, step) {
    const zone = row.facility.zone;
    const from = Math.min(one, other);
    const down = paper.stepped(zone, from - step / 2, step);
    const up = paper.stepped(zone, Math.max(one, other) + step / 2 - 1, step);
    return { from: down, to: Math.max(up, down + step) };
  }

  let pulling = 0;

  /** Scroll while the pointer is near the edge. */
  function pull() {
    pulling ||= requestAnimationFrame(() => {
      pulling = 0;
      if (!drag?.moved || !drag.pointer) return;
      const edge = scroll.getBoundingClientRect();
      const { x, y } = drag.pointer;
      const name = grid.querySelector(".resources-corner").offsetWidth;
      const by = {
        left: x < edge.left + name + NEAR ? -12 : x > edge.right - NEAR ? 12 : 0,
        top: y < edge.top + NEAR ? -12 : y > edge.bottom - NEAR ? 12 : 0,
      };
      if (!drag.bar || drag.side) by.top = 0;
      if (!by.left && !by.top) return;
      scroll.scrollBy(by);
      follow(drag);
      pull();
    });
  }

  function stop() {
    clearTimeout(pressed);
    const one = drag;
    drag = null;
    return one;
  }

  async function finish(event) {
    if (!drag || event.pointerId !== drag.id) return;
    const one = stop();
    if (!one.moved) return;
    unclick();
    if (event.type === "pointercancel") return clear();
    await drop(one);
  }

  async function drop(one) {
    const { row, bar, target, span, fits } = one;
    if (!bar) return deeds.choose(row, span, ghost, clear);
    const before = { from: bar.us, to: bar.ue };
    if (target === row && span.from === before.from && span.to === before.to) return clear();
    if (!fits) {
      deeds.toast("error", words.refused, [words.not_the_same]);
      return flyBack(row, before);
    }
    ghost.classList.add("waits");
    if (await deeds.move(row, bar, target, span)) clear();
    else flyBack(row, before);
  }

  /** The click that follows a drag opens nothing. */
  function unclick() {
    const swallow = (click) => { click.stopPropagation(); click.preventDefault(); };
    document.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => document.removeEventListener("click", swallow, { capture: true }), 50);
  }

  scroll.addEventListener("pointerup", finish);
  scroll.addEventListener("pointercancel", finish);
  // While a finger drags, the page does not scroll under it, and no menu opens.
  scroll.addEventListener("touchmove", (event) => { if (drag?.moved) event.preventDefault(); }, { passive: false });
  scroll.addEventListener("contextmenu", (event) => { if (drag?.moved || (drag?.touch && pressed)) event.preventDefault(); });
  grid.addEventListener("dragstart", (event) => event.preventDefault());

  grid.addEventListener("click", (event) => {
    const slot = event.target.closest("[data-bar]");
    if (slot) deeds.show(rowOf(slot), barOf(slot), slot);
  });

  // --- the keys -------------------------------------------------------------------------------------

  let carried = null; // what is moved by the keys

  grid.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const key = event.key;
    const handled = carried ? carry(key) : lift(event, key) || go(event.target, key);
    if (handled) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  grid.addEventListener("focusout", (event) => {
    if (carried && !grid.contains(event.relatedTarget) && event.relatedTarget) leave();
  });

  /** Begin to move the bar at hand, or book the time of the row. */
  function lift(event, key) {
    const bar = barOf(event.target);
    const row = rowOf(event.target);
    if (!row) return false;
    if (event.target.matches(".resources-time") && key === "Enter") {
      location.assign(`${resources.data.urls.new}?instrument=${encodeURIComponent(row.code)}`);
      return true;
    }
    if (!bar || !["m", "M", "+", "-", "="].includes(key)) return false;
    if (!bar.m) {
      say(bar.b ? words.not_yours : "");
      return true;
    }
    carried = { row, target: row, bar, slot: event.target, span: { from: bar.us, to: bar.ue } };
    event.target.classList.add("dragged");
    say(words.moving);
    show(carried);
    if (key !== "m" && key !== "M") carry(key);
    return true;
  }

  function carry(key) {
    const { span, target } = carried;
    const step = target.drawn?.step ?? carried.row.drawn.step;
    const shift = (by) => { carried.span = { from: span.from + by, to: span.to + by }; };
    const last = (to) => { carried.span = { ...span, to: Math.max(to, span.from + step) }; };
    const deed = {
      ArrowLeft: () => shift(-step),
      ArrowRight: () => shift(step),
      PageUp: () => shift(-1440),
      PageDown: () => shift(1440),
      ArrowUp: () => other(-1),
      ArrowDown: () => other(1),
      "+": () => last(span.to + step),
      "=": () => last(span.to + step),
      "-": () => last(span.to - step),
      Enter: () => put(),
      m: () => put(),
      M: () => put(),
      Escape: () => leave(),
    }[key];
    if (!deed) return key !== "Tab";
    const silent = deed() === false;
    if (carried) show(carried, !silent);
    return true;
  }

  /** The next instrument of the same kind, up or down. */
  function other(by) {
    const shown = resources.shown();
    for (let number = shown.indexOf(carried.target) + by; shown[number]; number += by) {
      const one = shown[number];
      if (one.count || !carried.row.same || one.same !== carried.row.same) continue;
      // The bar that is carried keeps the keyboard, though its row may scroll out of sight.
      resources.element(carried.row)?.classList.add("dragged");
      resources.reveal(number);
      carried.target = one;
      return true;
    }
    say(words.not_the_same);
    return false;
  }

  function show(one, aloud = false) {
    drawGhost(one.target, one.span, true);
    if (aloud) say(`${paper.times(one.target.facility.zone, one.span.from, one.span.to)}, ${one.target.name}`);
  }

  async function put() {
    const one = { ...carried, fits: true };
    carried = null;
    await drop(one);
    const number = resources.shown().indexOf(one.target);
    const element = resources.element(one.target) ?? resources.reveal(number);
    const same = [...(element?.querySelectorAll("[data-bar]") ?? [])].find((each) => barOf(each).b === one.bar.b);
    if (!deeds.open()) (same ?? element?.querySelector(".resources-time"))?.focus({ preventScroll: true });
  }

  function leave() {
    carried = null;
    clear();
    say("");
  }

  function say(what) {
    said.textContent = what;
  }

  /** From stop to stop: along the row, and to what is nearest in the row above or below. */
  function go(from, key) {
    const line = from.closest("[role=row]");
    const stops = [...line.querySelectorAll("[data-stop]")].sort((a, b) => order(a) - order(b));
    const place = stops.indexOf(from);
    const next = {
      ArrowRight: () => stops[place + 1],
      ArrowLeft: () => stops[place - 1],
      Home: () => stops[0],
      End: () => stops.at(-1),
      ArrowDown: () => beside(line, from, 1),
      ArrowUp: () => beside(line, from, -1),
      PageDown: () => beside(line, from, 10),
      PageUp: () => beside(line, from, -10),
    }[key];
    if (!next) return false;
    next()?.focus();
    return true;
  }

  // Heads first, then the row's time as a whole, then its bars in the order of time.
  const order = (stop) => (stop.dataset.bar === undefined ? (stop.matches(".resources-time") ? 0.5 : 0) : 1 + stop.offsetLeft);

  function beside(line, from, by) {
    const shown = resources.shown();
    const here = Number(line.getAttribute("aria-rowindex")) - 2;
    const element = resources.reveal(Math.min(Math.max(here + by, 0), shown.length - 1));
    if (!element || element === line) return null;
    const bars = [...element.querySelectorAll("[data-bar]")];
    if (from.dataset.bar !== undefined && bars.length) {
      const middle = (one) => one.offsetLeft + one.offsetWidth / 2;
      return bars.reduce((best, one) => (Math.abs(middle(one) - middle(from)) < Math.abs(middle(best) - middle(from)) ? one : best));
    }
    return element.querySelector(from.matches("a") ? "a" : ".resources-time") ?? element.querySelector("[data-stop]");
  }
}
