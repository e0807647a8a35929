// Keeps the time of a form for its reader: takes it when it is free, counts down, renews, gives it back on leaving.

for (const form of document.querySelectorAll("form[data-hold]")) keep(form);
document.addEventListener("yiqi:form", (event) => { if (event.target.dataset.hold) keep(event.target); });

function keep(form) {
  const place = form.querySelector("[data-hold-place]");
  const announce = form.querySelector("[data-announce]");
  let clock = 0;
  let running = null;
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

  async function ask(more = {}) {
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(form.dataset.hold, {
        method: "POST",
        body: body(more),
        headers: { Accept: "text/html" },
        redirect: "manual",
        signal: running.signal,
      });
      if (!answer.ok) return;
      place.innerHTML = await answer.text();
      start();
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren();
    }
  }

  function take() {
    if (!free() || form.dataset.sent) return;
    const now = body({}).toString();
    if (now === wish && held() && clock) return;
    wish = now;
    ask();
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
    ask({ renew: event.submitter.value });
  }, true);
  const leave = () => {
    const box = held();
    if (!form.isConnected || !box || form.dataset.sent || !clock) return;
    navigator.sendBeacon(form.dataset.hold, body({ release: box.dataset.held }));
  };
  window.addEventListener("pagehide", leave);
  // A form over another page goes without the page.
  form.addEventListener("yiqi:leave", () => {
    leave();
    clearInterval(clock);
    clock = 0;
    running?.abort();
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    wish = "";
    take();
  });

  if (held()) start();
  else take();
}
