// Keeps the time of a form for its reader: takes it when it is free, counts down, renews, gives it back on leaving.

for (const form of document.querySelectorAll("form[data-hold]")) keep(form);
document.addEventListener("yiqi:form", (event) => { if (event.target.dataset.hold) keep(event.target); });

function keep(form) {
  const place = form.querySelector("[data-hold-place]");
  const announce = form.querySelector("[data-announce]");
  let clock = 0;
  let running = false;
  let next = null;
  let gone = false;
  let wish = "";

  const held = () => place.querySelector("[data-held]");
  const free = () => form.querySelector("[data-verdict] [data-free]");

  function body(more) {
    const sent = new URLSearchParams(more);
    for (const name of ["csrf_token", "instrument", "start_date", "start_time", "end_date", "end_time", "quantity"]) {
      const field = form.elements[name];
      if (field) sent.set(name, field.value);
    }
    if (form.dataset.booking) sent.set("booking", form.dataset.booking);
    return sent;
  }

  // One request at a time: of two that pass each other on the way, the older one would have the last word.
  async function ask(what) {
    next = what;
    if (running) return;
    running = true;
    place.setAttribute("aria-busy", "true");
    while (next && !gone) {
      const more = next();
      next = null;
      await send(more);
    }
    running = false;
    place.removeAttribute("aria-busy");
    if (gone) leave();
  }

  async function send(more) {
    try {
      const answer = await fetch(form.dataset.hold, {
        method: "POST",
        body: body(more),
        headers: { Accept: "text/html" },
        redirect: "manual",
      });
      if (!answer.ok) return;
      place.innerHTML = await answer.text();
      start();
    } catch {
      place.replaceChildren();
    }
  }

  function take() {
    if (!free() || form.dataset.sent) return;
    const now = body({}).toString();
    if (now === wish && (running || (held() && clock))) return;
    wish = now;
    ask(() => ({}));
  }

  function start() {
    clearInterval(clock);
    clock = 0;
    const box = held();
    if (!box) return;
    const end = performance.now() + 1000 * Number(box.dataset.seconds);
    const tell = () => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      box.querySelector("[data-left]").textContent = ` · ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      if (left > 0) return;
      clearInterval(clock);
      clock = 0;
      box.classList.add("over");
      box.querySelector("[data-holding]").hidden = true;
      box.querySelector("[data-renew]")?.remove();
      const over = box.querySelector("[data-hold-over]");
      over.hidden = false;
      if (announce) announce.textContent = over.textContent;
    };
    clock = setInterval(tell, 1000);
    tell();
  }

  form.addEventListener("yiqi:judged", take);
  form.addEventListener("submit", (event) => {
    if (!event.submitter?.matches("[data-renew]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    delete form.dataset.sent;
    ask(() => ({ renew: held()?.dataset.held ?? "" }));
  }, true);
  const leave = () => {
    const box = held();
    if (!box || form.dataset.sent || !clock) return;
    navigator.sendBeacon(form.dataset.hold, body({ release: box.dataset.held }));
    clearInterval(clock);
    clock = 0;
  };
  window.addEventListener("pagehide", leave);
  // A form over another page goes without the page.
  form.addEventListener("yiqi:leave", () => {
    gone = true;
    if (!running) leave();
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    wish = "";
    take();
  });

  if (held()) start();
  else take();
}
