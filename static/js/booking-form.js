// Says while one types whether the time is free, what it costs, whom it meets. The server judges; this only asks.

const PAUSE = 350; // milliseconds without typing before it asks

for (const form of document.querySelectorAll("form[data-live]")) enliven(form);

function enliven(form) {
  const verdict = form.querySelector("[data-verdict]");
  const announce = form.querySelector("[data-announce]");
  const check = form.querySelector("[data-check]");
  let timer = 0;
  let running = null;

  if (check) check.closest("p").hidden = true;

  const asking = "[data-asks], [data-asks-within] :is(input, select)";
  const boxed = (field) => field.type === "checkbox" || field.type === "radio";
  const asks = () => [...form.querySelectorAll(asking)]
    .filter((field) => (boxed(field) ? field.checked : field.value || field.matches("[data-asks]")));

  async function ask() {
    const wish = new URLSearchParams({ part: "verdict" });
    for (const field of asks()) wish.append(field.name, field.value);
    running?.abort();
    running = new AbortController();
    verdict.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${form.dataset.live}?${wish}`, {
        headers: { Accept: "text/html" },
        redirect: "manual",
        signal: running.signal,
      });
      if (!answer.ok) return;
      verdict.innerHTML = await answer.text();
      const says = verdict.querySelector("[data-button]");
      if (says) form.querySelector("[data-send]").textContent = says.dataset.button;
      announce.textContent = verdict.querySelector("[data-summary]")?.dataset.summary ?? "";
      form.dispatchEvent(new CustomEvent("yiqi:judged"));
    } catch (error) {
      if (error.name !== "AbortError" && check) check.closest("p").hidden = false;
    } finally {
      verdict.removeAttribute("aria-busy");
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  }

  for (const span of form.querySelectorAll("[data-span]")) keepLength(span);

  form.addEventListener("input", (event) => {
    if (event.target.matches(asking)) soon();
  });

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.matches("[data-check]")) {
      event.preventDefault();
      clearTimeout(timer);
      ask();
      return;
    }
    if (button?.matches(".instead-choice[data-here]")) {
      event.preventDefault();
      take(form, button.value);
      ask().then(() => form.querySelector("[data-send]")?.focus());
      return;
    }
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  // A page that comes back out of the browser's memory may be sent again.
  window.addEventListener("pageshow", () => delete form.dataset.sent);
}

// When the start moves, the end moves with it.
function keepLength(span) {
  const part = (name) => span.querySelector(`[data-part="${name}"]`);
  const read = (which) => {
    const time = Date.parse(`${part(`${which}_date`).value}T${part(`${which}_time`).value}Z`);
    return Number.isNaN(time) ? null : time;
  };
  let start = read("start");
  span.addEventListener("change", (event) => {
    const began = start;
    start = read("start");
    if (!event.target.dataset.part?.startsWith("start")) return;
    const end = read("end");
    if (began === null || start === null || end === null || end <= began) return;
    write(part, "end", end + (start - began));
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function write(part, which, time) {
  const [day, clock] = new Date(time).toISOString().split("T");
  part(`${which}_date`).value = day;
  part(`${which}_time`).value = clock.slice(0, 5);
}

function take(form, value) {
  const span = form.querySelector("[data-span]");
  const part = (name) => span.querySelector(`[data-part="${name}"]`);
  const [, start, end] = value.split(" ");
  for (const [which, local] of [["start", start], ["end", end]]) write(part, which, Date.parse(`${local}Z`));
  // The span's own memory of its start follows a change of the end too.
  part("end_time").dispatchEvent(new Event("change", { bubbles: true }));
}
