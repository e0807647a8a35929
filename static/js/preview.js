// A form with `data-preview-form` shows what it would do, in its `data-preview`, while it is being filled in.
// A field with `data-colour` gets a picker beside it. Without a script the form's own button shows the same.

const WAIT = 300;

function follow(form) {
  let timer = 0;
  let asked = 0;

  async function show() {
    const mine = ++asked;
    const sent = new FormData(form);
    sent.set("try", "1");
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: sent });
    } catch {
      return; // the button remains
    }
    if (!answer.ok || mine !== asked) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-preview]");
    if (fresh) form.querySelector("[data-preview]").replaceChildren(...fresh.childNodes);
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, WAIT);
  });
}

function addPicker(field) {
  const picker = document.createElement("input");
  picker.type = "color";
  picker.value = /^#[0-9a-f]{6}$/i.test(field.value) ? field.value : "#0b5a7d";
  picker.setAttribute("aria-label", field.dataset.colour);
  const line = document.createElement("div");
  line.className = "colour-field";
  field.replaceWith(line);
  line.append(field, picker);
  picker.addEventListener("input", () => {
    field.value = picker.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  field.addEventListener("input", () => {
    if (/^#[0-9a-f]{6}$/i.test(field.value)) picker.value = field.value;
  });
}

document.querySelectorAll("[data-colour]").forEach(addPicker);
document.querySelectorAll("[data-preview-form]").forEach(follow);
