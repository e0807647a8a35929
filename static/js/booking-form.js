// Says while one types whether the time is free, what it costs, whom it meets. The server judges; this only asks.

const PAUSE = 350; // milliseconds without typing before it asks

for (const form of document.querySelectorAll("form[data-live]")) enliven(form);
document.addEventListener("yiqi:form", (event) => enliven(event.target));

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

  async function ask(more = {}) {
    clearTimeout(timer);
    const wish = new URLSearchParams({ part: "verdict" });
    for (const field of asks()) wish.append(field.name, field.value);
    for (const [name, value] of Object.entries(more)) wish.set(name, value);
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
      const back = focusOf(verdict);
      verdict.innerHTML = await answer.text();
      if (more.nudge) takeTime(form, verdict.querySelector("[data-start]")?.dataset);
      sayWhatTheButtonDoes(form, verdict);
      back();
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
  for (const field of form.querySelectorAll("[data-grows]")) grow(field);
  const more = form.querySelector("[data-more]");
  const others = form.querySelector("[data-only-for-others]");

  function shape() {
    if (others) others.hidden = form.elements.booked_for.value !== "@";
    if (!more) return;
    const filled = [...more.querySelectorAll("input, textarea, select")]
      .some((field) => (boxed(field) ? field.checked : field.name && field.type !== "hidden" && field.name !== "limit" && field.value));
    more.querySelector("[data-more-sign]").hidden = !filled;
  }

  shape();
  form.addEventListener("input", (event) => {
    shape();
    if (event.target.matches(asking)) soon();
  });
  form.addEventListener("yiqi:judged", () => {
    if (more && verdict.querySelector("[data-wants-more]")) more.open = true;
  });
  // A time that was dragged or pushed with keys: asked for at once.
  form.addEventListener("yiqi:time", () => ask());

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.matches("[data-check]") || (button?.name === "check" && button.value === "1")) {
      event.preventDefault();
      ask();
      return;
    }
    if (button?.name === "nudge") {
      event.preventDefault();
      ask({ nudge: button.value });
      return;
    }
    if (button?.matches("[data-here]")) {
      event.preventDefault();
      const [, start, end] = button.value.split(" ");
      takeTime(form, { start, end });
      ask().then(() => form.querySelector("[data-send]")?.focus());
      return;
    }
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  // A page that comes back out of the browser's memory may be sent again.
  window.addEventListener("pageshow", () => delete form.dataset.sent);
}

/** Remember what of a part has the focus, and give what puts it there again once the part is another. */
function focusOf(part) {
  const held = part.contains(document.activeElement) ? document.activeElement : null;
  if (!held || held.matches("[data-grip]")) return () => {}; // the grip is made anew, and focused, by its own script
  const same = `[name="${held.name}"][value="${CSS.escape(held.value ?? "")}"]`;
  return () => {
    (part.querySelector(same) ?? part.querySelector("[aria-pressed=true]"))?.focus({ preventScroll: true });
  };
}

/** Let the main button say and do what the server says it would do. */
function sayWhatTheButtonDoes(form, verdict) {
  const main = verdict.querySelector("template[data-main]")?.content.querySelector("button");
  const sum = verdict.querySelector("template[data-sum-now]");
  if (sum) form.querySelector("[data-sum]")?.replaceChildren(sum.content.cloneNode(true));
  if (!main) return;
  for (const button of form.querySelectorAll("[data-send], [data-send-by-enter]")) {
    button.removeAttribute("name");
    button.removeAttribute("value");
    button.removeAttribute("data-here");
    for (const { name, value } of main.attributes) button.setAttribute(name, value);
    if (button.matches("[data-send]")) button.textContent = main.textContent;
  }
}

// When the start moves, the end moves with it.
function keepLength(span) {
  const part = (name) => span.querySelector(`[data-part="${name}"]`);
  const read = (which) => {
    const time = Date.parse(`${part(`${which}_date`).value}T${part(`${which}_time`).value}Z`);
    return Number.isNaN(time) ? null : time;
  };
  let start = read("start");
  span.addEventListener("yiqi:set", () => { start = read("start"); });
  span.addEventListener("change", (event) => {
    const began = start;
    start = read("start");
    if (!event.target.dataset.part?.startsWith("start")) return;
    const end = read("end");
    if (began === null || start === null || end === null || end <= began) return;
    write(part, "end", new Date(end + (start - began)).toISOString());
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function write(part, which, local) {
  const [day, clock] = local.split("T");
  part(`${which}_date`).value = day;
  part(`${which}_time`).value = clock.slice(0, 5);
}

/** Put a time, two local times as addresses write them, into the fields. */
function takeTime(form, time) {
  if (!time?.start) return;
  const span = form.querySelector("[data-span]");
  const part = (name) => span.querySelector(`[data-part="${name}"]`);
  write(part, "start", time.start);
  write(part, "end", time.end);
  span.dispatchEvent(new CustomEvent("yiqi:set"));
}

/** Let a line of text become as many lines as it needs. */
function grow(field) {
  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  field.addEventListener("input", fit);
  if (field.value) fit();
}
