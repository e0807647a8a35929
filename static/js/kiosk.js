// A kiosk's page draws itself anew while nobody types, and forgets what somebody left half typed.

const page = document.querySelector("[data-kiosk]");
const seconds = Number(page.dataset.kiosk);
let since = Date.now();

for (const kind of ["keydown", "pointerdown", "input"]) {
  document.addEventListener(kind, () => {
    since = Date.now();
  });
}

setInterval(() => {
  if (Date.now() - since >= seconds * 1000) {
    location.replace(location.pathname);
  }
}, 5000);
