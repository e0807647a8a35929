// Announcements are put away without a new page. The server remembers it of who is signed in; of others this
// browser does, by the announcement's id and version alone.

const KEY = "yiqi-put-away";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

function remember(id, version) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...remembered(), [id]: version }));
  } catch {
    // A browser that keeps nothing shows it again.
  }
}

function remove(line) {
  const list = line.closest("ul");
  line.remove();
  if (!list.children.length) list.closest("section").remove();
  document.querySelector("main")?.focus({ preventScroll: true });
}

for (const line of document.querySelectorAll("[data-announcement]")) {
  const { announcement: id, version } = line.dataset;
  const way = line.querySelector("[data-put-away]");
  if (way.matches("form")) {
    way.addEventListener("submit", (event) => {
      event.preventDefault();
      fetch(way.action, { method: "POST", body: new FormData(way), redirect: "manual" }).catch(() => {});
      remove(line);
    });
  } else if (Number(remembered()[id]) >= Number(version)) {
    remove(line);
  } else {
    way.hidden = false;
    way.addEventListener("click", () => {
      remember(id, Number(version));
      remove(line);
    });
  }
}
