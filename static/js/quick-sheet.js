// Opens the booking sheet over the calendar of an instrument: for a begin that is chosen, a time that is dragged, and
// the form beside. What is booked stands in the calendar at once. Without this the sheet is a page of its own.

const calendar = document.querySelector("[data-quick-sheet]");

if (calendar && typeof HTMLDialogElement === "function") watch();

function watch() {
  const { quickSheet: address, styles, modules, close: closeWords, takenBack } = calendar.dataset;
  const dialog = document.createElement("dialog");
  dialog.className = "sheet-dialog";
  dialog.setAttribute("aria-labelledby", "sheet-title");
  dialog.innerHTML = '<button type="button" class="button quiet icon-only close"><svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="m6 6 12 12M18 6 6 18"/></svg></button><div data-content></div>';
  dialog.querySelector(".close").setAttribute("aria-label", closeWords);
  const content = dialog.querySelector("[data-content]");
  const status = document.createElement("p");
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  document.querySelector("main").append(status, dialog);
  let opener = null;
  let ready = null;

  const form = () => content.querySelector("form.sheet");

  /** Load what the sheet needs, once; its styles come before the page's own, which keep the last word. */
  const prepare = () => {
    ready ??= Promise.all([styled(styles), ...modules.split(" ").map((one) => import(one))]);
    return ready;
  };

  async function open(wish, from) {
    const whole = `${address}?${wish}`;
    opener = from;
    try {
      const [answer] = await Promise.all([
        fetch(`${whole}&part=sheet`, { headers: { Accept: "text/html" }, redirect: "manual" }),
        prepare(),
      ]);
      if (!answer.ok && answer.status !== 422) throw new Error(answer.type);
      fill(await answer.text());
      dialog.showModal();
      begin("#sheet-title");
    } catch {
      location.assign(whole); // signed out, or no connection: the page itself says so
    }
  }

  function fill(html) {
    content.innerHTML = html;
    dialog.setAttribute("aria-labelledby", content.querySelector("#done-title") ? "done-title" : "sheet-title");
  }

  function begin(first) {
    form()?.dispatchEvent(new CustomEvent("yiqi:form", { bubbles: true }));
    (content.querySelector(".error-summary, #refusal") ?? content.querySelector(first))?.focus();
  }

  /** Draw the week anew where it stands, without losing the place. */
  async function redraw() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const paper = page.querySelector(".calendar-paper");
    if (!paper) return;
    const { scrollX, scrollY } = window;
    calendar.querySelector(".calendar-paper").replaceChildren(...paper.childNodes);
    window.scrollTo(scrollX, scrollY);
    document.dispatchEvent(new CustomEvent("yiqi:redrawn"));
  }

  async function send(sheet, submitter) {
    const body = new FormData(sheet, submitter);
    try {
      const answer = await fetch(sheet.getAttribute("action"), { method: "POST", body, headers: { Accept: "text/html" }, redirect: "manual" });
      if (answer.status === 201) {
        fill(await answer.text());
        content.querySelector("#done")?.focus();
        await redraw();
        return;
      }
      if (![200, 409, 422].includes(answer.status)) throw new Error(answer.type);
      fill(await answer.text());
      begin("#sheet-title");
    } catch {
      asPage(sheet, submitter);
    }
  }

  /** Let the browser send it as a page does: it leads to the sign-in, the waitlist, or says what is wrong. */
  function asPage(sheet, submitter) {
    sheet.elements.part.value = "";
    delete sheet.dataset.sent;
    sheet.dataset.native = "yes";
    sheet.requestSubmit(submitter?.isConnected ? submitter : undefined);
  }

  async function takeBack(undo) {
    const answer = await fetch(undo.action, { method: "POST", body: new FormData(undo), redirect: "manual" });
    if (answer.type !== "opaqueredirect") return undo.submit();
    dialog.close();
    status.textContent = takenBack;
    return redraw();
  }

  dialog.addEventListener("submit", (event) => {
    const { target, submitter } = event;
    if (event.defaultPrevented || target.dataset.native) return;
    if (target.matches("[data-undo]")) {
      event.preventDefault();
      takeBack(target);
    } else if (target === form()) {
      if (["join", "repeat"].includes(submitter?.name)) {
        target.elements.part.value = "";
        return;
      }
      event.preventDefault();
      send(target, submitter);
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest(".close, [data-leave]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => {
    form()?.dispatchEvent(new CustomEvent("yiqi:leave"));
    content.replaceChildren();
    const same = opener?.isConnected ? opener : [...document.querySelectorAll("main a")].find((link) => link.href === opener?.href);
    const heading = document.querySelector("#calendar-title");
    heading.tabIndex = -1;
    (same ?? heading).focus({ preventScroll: true });
  });

  document.querySelector("main").addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || dialog.contains(link) || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const where = new URL(link.href);
    if (where.pathname !== new URL(address, location.href).pathname || !where.searchParams.has("instrument")) return;
    event.preventDefault();
    open(where.searchParams, link);
  });
  const pick = document.querySelector("[data-pick]");
  pick?.addEventListener("submit", (event) => {
    event.preventDefault();
    open(new URLSearchParams(new FormData(pick)), event.submitter);
  });
  document.addEventListener("yiqi:dragged", (event) => {
    event.preventDefault();
    open(new URLSearchParams(new FormData(event.detail)), event.detail.querySelector("[type=submit]"));
  });
}

function styled(address) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address;
  const loaded = new Promise((done) => {
    link.addEventListener("load", done);
    link.addEventListener("error", done);
  });
  document.head.querySelector("link[rel=stylesheet]").after(link);
  return loaded;
}
