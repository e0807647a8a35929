// A button that copies a field: <button data-copy="id of the field" data-done="…" data-failed="…" hidden>.
// What happened is said in the next element with role="status".

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector('[role="status"]');
  button.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = "";
    field.focus();
    field.select();
    said.textContent = (await copied(field)) ? button.dataset.done : button.dataset.failed;
  });
}

async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // Plain HTTP has no clipboard; the old way copies what is selected.
    return document.execCommand("copy");
  }
}
