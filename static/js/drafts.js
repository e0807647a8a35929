// What was typed into a form that was not taken (signed out meanwhile, too old, too many at once) stands there
// again when its reader comes back to it. Kept in this tab alone, and no longer than until the next page.

const KEY = "yiqi:draft";
const { reader, restored } = document.body.dataset;
const halfway = document.querySelector("[data-keeps-draft]");

if (halfway) carry();
else restore();

document.addEventListener("submit", (event) => {
  if (!halfway && reader && event.target.method === "post") keep(event.target);
});

function keep(form) {
  const fields = typed(form).map((field) => [field.name, field.value, field.checked ?? null]);
  if (fields.length) write({ reader, action: form.getAttribute("action"), fields, lost: false });
}

function carry() {
  const draft = read();
  if (draft) write({ ...draft, lost: true });
}

function restore() {
  const draft = read();
  write(null);
  if (!draft?.lost || draft.reader !== reader) return;
  const form = [...document.forms].find((one) => one.getAttribute("action") === draft.action);
  if (!form) return;
  const left = [...draft.fields];
  for (const field of typed(form)) {
    const boxed = field.type === "checkbox" || field.type === "radio";
    const at = left.findIndex(([name, value]) => name === field.name && (!boxed || value === field.value));
    if (at < 0) continue;
    const [[, value, checked]] = left.splice(at, 1);
    if (boxed) field.checked = checked;
    else field.value = value;
    for (let fold = field.closest("details"); fold && value && (!boxed || checked); fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const note = document.createElement("p");
  note.className = "notice info";
  note.setAttribute("role", "status");
  note.textContent = restored;
  form.prepend(note);
}

function typed(form) {
  const kept = (field) => field.name && !["hidden", "password", "file", "submit", "button"].includes(field.type);
  return [...form.elements].filter((field) => kept(field) && field.tagName !== "FIELDSET");
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function write(draft) {
  try {
    if (draft) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that keeps nothing has nothing to give back.
  }
}
