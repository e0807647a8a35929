"""Security headers, on every answer."""

from flask import Flask, Response, g, request

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Our own pages get it, since CSRF protection looks at it; nobody else does.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_PLACE_ASKED = _ALWAYS["Permissions-Policy"].replace("geolocation=()", "geolocation=(self)")
_HSTS = "max-age=31536000; includeSubDomains"


def init(app: Flask, *, production: bool) -> None:
    """Set the headers after every request, errors and static files included."""

    def _set(response: Response) -> Response:
        # A view may be stricter, as for a download in a sandbox; only a page with a map is laxer, see maps.py.
        response.headers.setdefault("Content-Security-Policy", _policy())
        if g.get("asks_place"):
            response.headers.setdefault("Permissions-Policy", _PLACE_ASKED)
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        if production:
            response.headers["Strict-Transport-Security"] = _HSTS
        _keep_private(response)
        return response

    app.after_request(_set)


def _policy() -> str:
    host = g.get("tiles_host")
    if not host:
        return CONTENT_SECURITY_POLICY
    return CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self' {host}")


def _keep_private(response: Response) -> None:
    """Keep what depends on the reader out of caches."""
    if request.endpoint == "static":
        return
    page = response.mimetype == "text/html"
    identity = g.get("identity")
    if page:
        _vary(response, "Cookie, Accept-Language")
    elif identity is not None:
        _vary(response, "Authorization, Cookie")
    if "Cache-Control" in response.headers:
        return
    if identity is not None and identity.actor.signed_in:
        response.headers["Cache-Control"] = "no-store"
    elif page:
        response.headers["Cache-Control"] = "no-cache, private"


def _vary(response: Response, names: str) -> None:
    if "Vary" in response.headers:
        response.vary.update(names.split(", "))
    else:  # nearly always, and ten times as fast
        response.headers["Vary"] = names
