// Frames what the tour speaks of, and begins where a reader of the screen would look.

const card = document.querySelector("[data-tour-stop]");
const target = document.querySelector(card.dataset.tourStop);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

target?.classList.add("tour-target");
target?.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
card.querySelector("h2").focus({ preventScroll: true });

card.addEventListener("keydown", (event) => {
  if (event.key === "Escape") card.querySelector("form").requestSubmit();
});
