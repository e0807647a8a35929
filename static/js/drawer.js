// Facets in a drawer: on a narrow page it begins closed above the answer, on a wide one it is always open.

const narrow = window.matchMedia("not all and (min-width: 56rem)");

dress(document);
fit();
narrow.addEventListener("change", fit);

// Mark a drawer that is under control; one that is put in place later is told here.
export function dress(root) {
  for (const drawer of root.querySelectorAll("[data-drawer]")) drawer.dataset.drawer = "ready";
}

function fit() {
  for (const drawer of document.querySelectorAll("[data-drawer]")) drawer.open = !narrow.matches;
}
