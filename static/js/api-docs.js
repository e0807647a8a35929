// The page of the programming interface: the OpenAPI document, readable, with requests to try.

const place = document.querySelector("[data-api-docs]");

if (place && window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    domNode: place,
    url: place.dataset.apiDocs,
    // The outside validator would be told the address of this server.
    validatorUrl: null,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    // Only a pasted token signs in here: the page's cookie stays out of what is tried.
    requestInterceptor: (request) => ({ ...request, credentials: "omit" }),
  });
}
