// While a run is under way, look how far it is; once it has ended, show the whole page anew.

const box = document.querySelector("[data-progress]");
const part = box?.querySelector("[data-progress-part]");
let wait = 1000;

async function look() {
  try {
    const answer = await fetch(box.dataset.progress, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    const found = new DOMParser().parseFromString(text, "text/html");
    if (!found.querySelector("[data-running]")) {
      location.reload();
      return;
    }
    part.replaceChildren(...found.body.childNodes);
    wait = Math.min(wait * 1.2, 5000);
  } catch {
    wait = Math.min(wait * 2, 30000);
  }
  setTimeout(look, wait);
}

if (part) setTimeout(look, wait);
