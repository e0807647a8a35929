// The console of the programming interface: loaded only when somebody wants to try requests.

const button = document.querySelector("[data-api-console]");

function load(element, attributes) {
  return new Promise((resolve, reject) => {
    const node = Object.assign(document.createElement(element), attributes);
    node.addEventListener("load", resolve);
    node.addEventListener("error", reject);
    document.head.append(node);
  });
}

async function open() {
  button.disabled = true;
  const place = document.getElementById(button.dataset.place);
  try {
    await load("link", { rel: "stylesheet", href: button.dataset.style });
    await load("script", { src: button.dataset.script });
  } catch {
    button.disabled = false;
    return;
  }
  place.hidden = false;
  window.SwaggerUIBundle({
    domNode: place,
    url: button.dataset.apiConsole,
    // The outside validator would be told the address of this server.
    validatorUrl: null,
    defaultModelsExpandDepth: -1,
    docExpansion: "list",
    // Only a pasted token signs in here: the page's cookie stays out of what is tried.
    requestInterceptor: (request) => ({ ...request, credentials: "omit" }),
  });
  button.hidden = true;
  place.focus();
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", open);
}
