// Fields that matter for one answer only stand there once it is given; without this all of them stand there.
// `data-only-when` holds conditions, all of which must be met: `who=people`, `what!=late_allowed`,
// `period=month|rolling`, or a field's name alone, which must then be filled in.

for (const form of document.forms) {
  const folded = [...form.querySelectorAll("[data-only-when]")];
  if (!folded.length) continue;
  const show = () => {
    const given = new FormData(form);
    for (const one of folded) {
      const field = one.matches("input, select, textarea") ? one.closest(".field") : one;
      field.hidden = !one.dataset.onlyWhen.split(" ").every((condition) => met(condition, given));
    }
  };
  form.addEventListener("input", show);
  window.addEventListener("pageshow", show); // a page that comes back has kept its answers
  show();
}

function met(condition, given) {
  const [, name, sign, values] = /^([\w-]+)(?:(!?=)(.*))?$/.exec(condition);
  const answers = given.getAll(name).filter((answer) => answer !== "");
  if (!sign) return answers.length > 0;
  const among = answers.some((answer) => values.split("|").includes(answer));
  return sign === "=" ? among : !among;
}
