"""Guards of routes: every view says who may come in."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from flask import Flask, current_app, request
from flask.views import View

from booking.domain import access
from booking.http.identity import actor

_View = TypeVar("_View", bound=Callable[..., Any])

OPEN = "open"


def needs(action: str) -> Callable[[_View], _View]:
    """Let only those in who may take the action on some subject; the service asks about the very subject."""
    if action not in access.RULES:
        raise KeyError(action)

    def decorate(view: _View) -> _View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            who = actor()
            if not access.could(who, action):
                raise access.Forbidden(action, sign_in=not who.signed_in)
            return view(*args, **kwargs)

        guarded.__guard__ = action  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def open_to_all(view: _View) -> _View:
    """Let everybody in."""
    view.__guard__ = OPEN  # type: ignore[attr-defined]
    return view


def of_request() -> str | None:
    """Give the guard of the view that answers the request at hand, None if there is no such view."""
    view = current_app.view_functions.get(request.endpoint or "")
    return None if view is None else _guard(view, request.method)


def may_open(endpoint: str) -> bool:
    """Tell whether the reader gets into the page of an endpoint."""
    view = current_app.view_functions.get(endpoint)
    wanted = None if view is None else _guard(view, "GET")
    return wanted == OPEN or (wanted is not None and access.could(actor(), wanted))


def guards(app: Flask) -> Iterator[tuple[str, str, str | None]]:
    """Give (endpoint, method, guard) of every route; the guard is an action, `open`, or None if missing."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            if method == "HEAD" and "GET" in (rule.methods or set()):
                continue
            yield rule.endpoint, method, _guard(app.view_functions[rule.endpoint], method)


def _guard(view: Any, method: str) -> str | None:
    view_class: type[View] | None = getattr(view, "view_class", None)
    if view_class is not None:
        view = getattr(view_class, method.lower(), view)
    return getattr(view, "__guard__", None)
