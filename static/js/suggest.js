// Names of instruments while one types; choosing one opens its page. Without this the words are searched for.

for (const field of document.querySelectorAll("[data-suggest]")) {
  const found = new Map();
  let waiting = null;
  let running = null;
  field.addEventListener("input", (event) => {
    clearTimeout(waiting);
    // A chosen name comes whole, not letter by letter.
    if (found.has(field.value) && !/^(insertText|insertComposition|delete)/.test(event.inputType ?? "")) {
      location.assign(`${field.dataset.page}/${encodeURIComponent(found.get(field.value))}`);
      return;
    }
    waiting = setTimeout(look, 150);
  });

  async function look() {
    running?.abort();
    running = new AbortController();
    const words = field.value.trim();
    if (!words) return field.list.replaceChildren();
    try {
      const address = `${field.dataset.suggest}?${new URLSearchParams({ q: words, page_size: 8 })}`;
      const response = await fetch(address, { signal: running.signal, headers: { Accept: "application/json" } });
      if (response.ok) show((await response.json()).items);
    } catch {
      // Typing goes on; the button still searches.
    }
  }

  function show(items) {
    const chinese = document.documentElement.lang.startsWith("zh");
    found.clear();
    for (const one of items) {
      const name = (chinese ? one.name_zh || one.name_en : one.name_en || one.name_zh) || one.id;
      found.set(found.has(name) ? `${name} (${one.id})` : name, one.id);
    }
    field.list.replaceChildren(...[...found.keys()].map((name) => Object.assign(document.createElement("option"), { value: name })));
  }
}
