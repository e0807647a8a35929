// One box ticks all of a name in its form, and tells how it stands with them; without this each is ticked alone.

for (const place of document.querySelectorAll("[data-tick-all]")) {
  const all = place.querySelector("input");
  const boxes = [...place.closest("form").querySelectorAll(`input[name="${place.dataset.tickAll}"]`)];
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) box.addEventListener("change", show);
  window.addEventListener("pageshow", show); // a page that comes back has kept its ticks
  place.hidden = false;
  show();
}
