// The strip of a booking form: drag over free time to choose one, drag the time to move it, its edges to resize it.
// Keys do the same: arrows move it by a step, with Shift they change its length; Page Up and Down go a day on.
// Times are the facility's wall clock; the fields of the form stay the truth, and the server judges.

const MINUTE = 60_000;
const HOUR = 60;
const DAY = 24 * HOUR;

for (const form of document.querySelectorAll("form[data-step]")) attend(form);
document.addEventListener("yiqi:form", (event) => { if (event.target.dataset.step) attend(event.target); });

function attend(form) {
  const step = Number(form.dataset.step);
  const grain = Math.min(step, HOUR);
  const shortest = Number(form.dataset.shortest);
  const longest = Number(form.dataset.longest ?? Number.POSITIVE_INFINITY);
  const span = form.querySelector("[data-span]");
  const part = (name) => span.querySelector(`[data-part="${name}"]`);

  const read = () => {
    const [from, to] = ["start", "end"].map(
      (which) => Date.parse(`${part(`${which}_date`).value || part("start_date").value}T${part(`${which}_time`).value}Z`) / MINUTE,
    );
    return Number.isNaN(from) || Number.isNaN(to) || from >= to ? null : { from, to };
  };
  const write = ({ from, to }) => {
    for (const [which, at] of [["start", from], ["end", to]]) {
      const [day, clock] = new Date(at * MINUTE).toISOString().split("T");
      part(`${which}_date`).value = day;
      part(`${which}_time`).value = clock.slice(0, 5);
    }
    span.dispatchEvent(new CustomEvent("yiqi:set"));
  };
  const lengthOf = (asked) => {
    const most = Math.floor(longest / step) * step;
    const least = Math.ceil(shortest / step) * step;
    return Math.min(Math.max(Math.round(asked / step) * step, least), most);
  };

  /** Draw the grip over the strip that stands there now. */
  function draw() {
    const strip = form.querySelector("[data-strip]");
    const lane = strip?.querySelector(".lane");
    if (!lane || lane.querySelector("[data-grip]")) return;
    const paper = measure(strip, lane);
    const grip = document.createElement("button");
    grip.type = "button";
    grip.className = "grip";
    grip.dataset.grip = "";
    grip.innerHTML = '<span class="grip-edge" data-edge="from"></span><span class="grip-words"></span><span class="grip-edge" data-edge="to"></span>';
    strip.classList.add("drags");
    lane.append(grip);
    const show = (time) => {
      grip.hidden = !time;
      if (!time) return;
      const [left, right] = [paper.place(time.from), paper.place(time.to)];
      grip.style.left = `${100 * left}%`;
      grip.style.width = `${100 * Math.max(0, right - left)}%`;
      const times = `${clock(time.from)}–${clock(time.to)}`;
      grip.querySelector(".grip-words").textContent = times;
      grip.setAttribute("aria-label", strip.dataset.words.replace("{times}", times));
    };
    show(read());
    byKeys(grip, show);
    byPointer(lane, grip, paper, show);
  }

  function byKeys(grip, show) {
    let timer = 0;
    grip.addEventListener("keydown", (event) => {
      const time = read();
      if (!time || event.altKey || event.ctrlKey || event.metaKey) return;
      const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageUp: -DAY, PageDown: DAY }[event.key];
      if (!by) return;
      event.preventDefault();
      if (event.shiftKey) time.to = time.from + lengthOf(time.to + by - time.from);
      else for (const end of ["from", "to"]) time[end] += Math.abs(by) === DAY ? by : Math.sign(by) * Math.min(grain, step);
      write(time);
      show(time);
      clearTimeout(timer);
      timer = setTimeout(() => form.dispatchEvent(new CustomEvent("yiqi:time")), 250);
    });
  }

  function byPointer(lane, grip, paper, show) {
    let drag = null;
    const snap = (at) => Math.round(at / grain) * grain;
    const down = (event) => {
      if (event.button !== 0 || (event.pointerType === "touch" && !event.target.closest("[data-grip]"))) return;
      if (event.target.closest("a")) return;
      const at = paper.time(event.clientX);
      const edge = event.target.closest("[data-edge]")?.dataset.edge;
      const held = event.target.closest("[data-grip]");
      drag = { at, edge, before: held ? read() : null, id: event.pointerId, x: event.clientX, time: null };
    };
    const move = (event) => {
      if (!drag || event.pointerId !== drag.id || (!drag.time && Math.abs(event.clientX - drag.x) < 4)) return;
      if (!drag.time) lane.setPointerCapture(drag.id);
      const at = paper.time(event.clientX);
      drag.time = dragged(drag, at);
      show(drag.time);
    };
    const dragged = ({ at: began, edge, before }, at) => {
      if (!before) {
        const length = lengthOf(Math.abs(at - began));
        const from = at < began ? snap(began) - length : Math.floor(began / grain) * grain;
        return { from, to: from + length };
      }
      if (edge === "from") {
        const length = lengthOf(before.to - at);
        return { from: before.to - length, to: before.to };
      }
      if (edge === "to") return { from: before.from, to: before.from + lengthOf(at - before.from) };
      const by = snap(before.from + at - began) - before.from;
      return { from: before.from + by, to: before.to + by };
    };
    const up = (event) => {
      if (!drag || event.pointerId !== drag.id) return;
      const { time } = drag;
      drag = null;
      if (!time || event.type === "pointercancel") return show(read());
      write(time);
      grip.focus({ preventScroll: true });
      form.dispatchEvent(new CustomEvent("yiqi:time"));
    };
    lane.addEventListener("pointerdown", down);
    lane.addEventListener("pointermove", move);
    lane.addEventListener("pointerup", up);
    lane.addEventListener("pointercancel", up);
    lane.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !drag) return;
      drag = null;
      event.preventDefault();
      show(read());
    });
    lane.addEventListener("dragstart", (event) => event.preventDefault());
  }

  form.addEventListener("yiqi:judged", () => {
    const focused = form.querySelector("[data-verdict]").contains(document.activeElement) || document.activeElement === document.body;
    const had = form.dataset.gripped;
    draw();
    if (had && focused) form.querySelector("[data-grip]")?.focus({ preventScroll: true });
  });
  form.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-grip]")) form.dataset.gripped = "yes";
    else delete form.dataset.gripped;
  });
  draw();
}

/** Tell places from times on a strip: its days side by side, each from its first hour to its last. */
function measure(strip, lane) {
  const first = Date.parse(`${strip.dataset.firstDay}T00:00Z`) / MINUTE;
  const days = Number(strip.dataset.days);
  const opens = Number(strip.dataset.opens) * HOUR;
  const open = Number(strip.dataset.closes) * HOUR - opens;
  return {
    place(at) {
      const day = Math.floor((at - first) / DAY);
      if (day < 0) return 0;
      if (day >= days) return 1;
      return (day + Math.min(Math.max((at - first - day * DAY - opens) / open, 0), 1)) / days;
    },
    time(x) {
      const box = lane.getBoundingClientRect();
      const part = Math.min(Math.max((x - box.left) / box.width, 0), 0.99999) * days;
      const day = Math.floor(part);
      return first + day * DAY + opens + (part - day) * open;
    },
  };
}

function clock(at) {
  return new Date(at * MINUTE).toISOString().slice(11, 16);
}
