// What one does on the timeline, once it is chosen: bookings are moved by the programming interface, under the rules
// of any change; what it answers is told in a message that stays in reach. Beside a bar stands what it is.

import { fill, instant } from "./resources-paper.js";

const LASTS = 15_000;
const NOBODY = "00000000-0000-0000-0000-000000000000";

export function deeds(resources) {
  const { data, words, paper } = resources;
  const toasts = document.querySelector("[data-toasts]");
  const token = document.querySelector("[data-token] [name=csrf_token]").value;
  let card = null;

  // --- messages -----------------------------------------------------------------------------------

  function toast(kind, title, lines = [], actions = []) {
    // A refusal stays until it is read; of what went well only the last is of use.
    toasts.querySelectorAll(".toast").forEach((old) => old.remove());
    const one = element("div", `toast ${kind}`, { role: kind === "success" ? "status" : "alert" });
    one.append(element("p", "strong", {}, title));
    for (const line of lines) one.append(element("p", "", {}, line));
    const row = element("div", "toast-deeds");
    for (const { said, go, href } of actions) {
      const button = href ? element("a", "button secondary small", { href }, said) : element("button", "button secondary small", { type: "button" }, said);
      if (go) button.addEventListener("click", () => { one.remove(); go(); });
      row.append(button);
    }
    const close = element("button", "button quiet small", { type: "button" }, words.dismiss);
    close.addEventListener("click", () => one.remove());
    row.append(close);
    one.append(row);
    toasts.append(one);
    if (kind === "success") fade(one);
    return one;
  }

  function fade(one) {
    let timer = setTimeout(() => one.remove(), LASTS);
    for (const kind of ["pointerenter", "focusin"]) one.addEventListener(kind, () => clearTimeout(timer));
    for (const kind of ["pointerleave", "focusout"]) {
      one.addEventListener(kind, () => { timer = setTimeout(() => one.remove(), LASTS); });
    }
  }

  // --- moving -------------------------------------------------------------------------------------

  const at = (name, booking) => data.urls[name].replace(NOBODY, booking);
  const when = (row, span) => paper.times(row.facility.zone, span.from, span.to);

  async function send(method, address, version, body) {
    const headers = {
      "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token, "If-Match": `"${version}"`,
    };
    const answer = await fetch(address, { method, headers, body: JSON.stringify(body) }).catch(() => null);
    if (!answer) return { status: 0, said: {} };
    const said = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
    return { status: answer.status, said };
  }

  /** What is asked of the interface: only what differs, so that a booking of several parts can move as a whole. */
  function wish(row, target, span, before) {
    const body = {};
    if (span.from !== before.from) body.start = instant(span.from);
    if (span.to !== before.to) body.end = instant(span.to);
    if (target !== row) body.instrument_id = target.code;
    return body;
  }

  /** Move a booking; true if it went. Whose consent is wanting is asked about first. */
  async function move(row, bar, target, span) {
    const before = { from: bar.us, to: bar.ue };
    const word = bar.a ? await consent(row, bar, target, span) : "move";
    if (word === "ask") await ask(row, bar, span);
    if (word !== "move") return false;
    const { b: booking, p: person } = bar;
    const { status, said } = await send("PATCH", at("patch", booking), bar.v, wish(row, target, span, before));
    const rows = [...new Set([row.id, target.id])];
    if (status === 200) {
      const told = said.state === "requested" && bar.l !== "pending" ? words.requested : bar.o ? words.moved_own : words.moved;
      const title = fill(told, { when: when(target, span), place: target.name, person: person ?? "" });
      // Drawn before it is said, so that the next drag begins with what there is now.
      await resources.refresh(rows);
      toast("success", title, [], [{ said: words.undo, go: () => undo(booking, said.version, row, target, before) }]);
      return true;
    }
    refused(status, said, { row, bar, target, span });
    if (status === 412) await resources.refresh(rows);
    return false;
  }

  /** Ask its owner whether it may be moved; it stays, and the other time is held for the answer. */
  async function ask(row, bar, span) {
    const body = { start: instant(span.from), end: instant(span.to) };
    const { status, said } = await send("POST", at("ask", bar.b), bar.v, body);
    if (status !== 201) {
      refused(status, said, null, bar.b);
      return;
    }
    await resources.refresh([row.id]);
    const deadline = paper.moment(row.facility.zone, minutes(said.answer_by));
    toast("success", fill(words.asked, { person: bar.p ?? "", when: when(row, span), deadline }), [], [
      { said: words.details, href: at("booking", bar.b) },
    ]);
  }

  async function undo(booking, version, row, target, before) {
    const { status, said } = await send("POST", at("undo", booking), version, {});
    await resources.refresh([...new Set([row.id, target.id])]);
    if (status === 200) toast("success", fill(words.undone, { when: when(row, before), place: row.name }));
    else refused(status, said, null, booking);
  }

  function refused(status, said, tried, booking = tried?.bar.b) {
    const why = status === 412 ? [words.stale] : status ? reasons(said) : [words.away];
    const instead = (said.alternatives ?? []).filter(usable(tried)).slice(0, 3).map((one) => other(one, tried));
    const lines = instead.length ? [...why, `${words.instead}:`] : why;
    const byForm = status ? [{ said: words.by_form, href: at("change", booking) }] : [];
    toast("error", words.refused, lines, [...instead, ...byForm]);
  }

  function reasons(said) {
    const found = (said.reasons ?? []).map((reason) => reason.message);
    const wrong = Object.values(said.errors ?? {}).flat().map(String);
    return found.length ? found : [said.detail ?? said.title ?? words.away, ...wrong.filter((one) => one.includes(" "))];
  }

  // Another time of the same length, here or on an instrument that has a row: a press away.
  const minutes = (text) => Date.parse(text) / 60_000;
  const usable = (tried) => (one) => tried && one.why !== "waitlist" && rowOf(one) && !(one.parts?.length > 1);
  const rowOf = (one) => resources.rows.find((row) => row.code === one.instrument_id);

  function other(one, { row, bar }) {
    const target = rowOf(one);
    const span = { from: minutes(one.start), to: minutes(one.end) };
    const name = target === row ? "" : `, ${target.name}`;
    return { said: `${when(target, span)}${name}`, go: () => move(row, bar, target, span) };
  }

  /** A confirmed booking of somebody who has not agreed beforehand moves only if they are asked: "move" or "ask". */
  function consent(row, bar, target, span) {
    const { promise, resolve } = Promise.withResolvers?.() ?? deferred();
    const values = { person: bar.p ?? "", when: when(target, span), place: target.name };
    const dialog = element("dialog", "consent", { "aria-labelledby": "consent-title" });
    dialog.append(
      element("h2", "card-title", { id: "consent-title" }, fill(words.ask, values)),
      element("p", "", {}, fill(words.ask_more, values)),
    );
    const choices = element("div", "toast-deeds");
    // Only another time is asked; to another instrument it moves by agreement.
    const answers = { ...(target === row && { ask: words.ask_first }), move: words.agreed, "": words.leave };
    for (const [answer, said] of Object.entries(answers)) {
      const button = element("button", `button${answer ? "" : " quiet"}${answer === "move" ? " secondary" : ""}`, { type: "button" }, said);
      button.addEventListener("click", () => { resolve(answer); dialog.close(); });
      choices.append(button);
    }
    dialog.addEventListener("close", () => { resolve(""); dialog.remove(); });
    dialog.append(choices);
    document.body.append(dialog);
    dialog.showModal();
    return promise;
  }

  // --- booking and closing empty time ---------------------------------------------------------------

  /** Offer what can be done with empty time, at the place where it was chosen; it is booked on a sheet over the page. */
  function choose(row, span, near, over) {
    import(document.querySelector("[data-quick]").dataset.quick);
    const times = `start=${paper.local(row.facility.zone, span.from)}&end=${paper.local(row.facility.zone, span.to)}`;
    const code = encodeURIComponent(row.code);
    const box = popover(near, over);
    box.append(element("h3", "card-what", { id: "bar-card-title" }, row.name), element("p", "card-when", {}, when(row, span)));
    const deed = element("div", "card-deeds");
    const book = element("a", "button small", { href: `${data.urls.new}?instrument=${code}&${times}` }, words.book);
    deed.append(book);
    if (row.facility.closes) {
      const close = `${data.urls.close}?facility=${encodeURIComponent(row.facility.code)}&instrument=${code}&${times}`;
      deed.append(element("a", "button secondary small", { href: close }, words.close));
    }
    const leave = element("button", "button quiet small", { type: "button" }, words.cancel);
    leave.addEventListener("click", dismiss);
    deed.append(leave);
    box.append(deed);
    stand(box, near);
    book.focus();
  }

  // --- what stands beside a bar ----------------------------------------------------------------------

  async function show(row, bar, near) {
    const box = popover(near);
    if (bar.b) {
      box.textContent = words.loading;
      stand(box, near);
      try {
        const answer = await fetch(at("card", bar.b), { headers: { Accept: "text/html" } });
        if (!answer.ok) throw new Error(String(answer.status));
        const found = new DOMParser().parseFromString(await answer.text(), "text/html");
        box.replaceChildren(...found.body.childNodes);
        for (const back of box.querySelectorAll("[name=back]")) back.value = location.pathname + location.search;
      } catch {
        box.textContent = words.away;
      }
    } else {
      box.append(
        element("h3", "card-what", { id: "bar-card-title" }, words.kinds[bar.k] ?? words.looks[bar.l]),
        element("p", "card-when", {}, `${row.name}, ${when(row, { from: bar.us, to: bar.ue })}`),
      );
      if (bar.k === "maintenance" || bar.k === "closure") {
        const href = `${data.urls.closures}?facility=${encodeURIComponent(row.facility.code)}`;
        box.append(element("a", "", { href }, words.all_closures));
      }
    }
    if (box !== card?.box) return; // closed meanwhile
    stand(box, near);
    (box.querySelector("a, button") ?? box).focus();
  }

  function popover(near, over = null) {
    dismiss();
    const box = element("div", "bar-card", { role: "dialog", "aria-labelledby": "bar-card-title", tabindex: -1 });
    document.querySelector("main").append(box);
    card = { box, near, over };
    return box;
  }

  function stand(box, near) {
    const edge = near.getBoundingClientRect();
    const left = Math.min(Math.max(edge.left, 8), window.innerWidth - box.offsetWidth - 8);
    const below = edge.bottom + 6 + box.offsetHeight < window.innerHeight;
    box.style.left = `${left}px`;
    box.style.top = `${Math.max(below ? edge.bottom + 6 : edge.top - box.offsetHeight - 6, 8)}px`;
  }

  function dismiss() {
    if (!card) return;
    const { box, near, over } = card;
    card = null;
    const inside = box.contains(document.activeElement);
    box.remove();
    over?.();
    if (inside && near.isConnected) near.focus?.({ preventScroll: true });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && card) dismiss();
  });
  document.addEventListener("pointerdown", (event) => {
    if (card && !card.box.contains(event.target) && !card.near.contains(event.target)) dismiss();
  });
  document.addEventListener("focusin", (event) => {
    if (card && !card.box.contains(event.target) && !card.near.contains(event.target) && event.target !== document.body) dismiss();
  });
  resources.scroll.addEventListener("scroll", dismiss, { passive: true });

  return { move, show, choose, toast, dismiss, open: () => Boolean(card) };
}

function element(tag, name, attributes = {}, text = "") {
  const one = document.createElement(tag);
  if (name) one.className = name;
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text) one.textContent = text;
  return one;
}

function deferred() {
  const one = {};
  one.promise = new Promise((resolve) => { one.resolve = resolve; });
  return one;
}
