"""Answers of WebDAV: many resources in one, and refusals that say why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Response, request

from booking.feeds.caldav.resources import Content, Properties, href
from booking.feeds.caldav.xml import C, D, Element, made, parse, written

ALL = frozenset(
    D + name
    for name in (
        *("resourcetype", "displayname", "owner", "getetag", "getcontenttype", "getcontentlength"),
        *("getlastmodified", "current-user-principal", "supported-report-set"),
    )
)
"""What is given to whoever asks for everything."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which properties are asked for; `names` is None for all, and `only_names` wants no content."""

    names: tuple[str, ...] | None
    only_names: bool = False

    def __contains__(self, name: str) -> bool:
        """Tell whether a property is asked for by its name."""
        return self.names is not None and name in self.names


def wanted_of(root: Element) -> Wanted:
    """Read which properties a body asks for."""
    found = root.find(D + "prop")
    if found is not None:
        return Wanted(tuple(dict.fromkeys(one.tag for one in found)))
    return Wanted(None, only_names=root.find(D + "propname") is not None)


def body() -> bytes:
    """Give what was sent."""
    return request.get_data(cache=False)


def root_of_body() -> Element | None:
    """Give the XML that was sent, None if nothing was.

    :raises BadXml: if it cannot be read
    """
    data = body()
    return parse(data) if data.strip() else None


def of_properties(path: str, properties: Properties, wanted: Wanted) -> Element:
    """Say what is asked for of one resource: what it has, and what it lacks."""
    names = [name for name in properties if name in ALL] if wanted.names is None else wanted.names
    if wanted.only_names:
        names = list(properties)
    has: list[Element] = []
    lacks: list[Element] = []
    for name in names:
        content = properties.get(name)
        if content is None:
            lacks.append(made(name))
        else:
            has.append(made(name) if wanted.only_names else _filled(name, content))
    answer = made(D + "response", href(path))
    if has or not lacks:
        answer.append(_propstat(has, 200))
    if lacks and not _minimal():
        answer.append(_propstat(lacks, 404))
    elif not has and lacks:
        answer.append(_propstat([], 200))
    return answer


def of_status(path: str, status: int, *more: Element) -> Element:
    """Say of one resource no more than how it stands."""
    return made(D + "response", href(path), made(D + "status", STATUS[status]), *more)


def of_changes(path: str, stored: Iterable[str], refused: Iterable[str]) -> Element:
    """Say what became of properties that were to be changed: all of them were, or none."""
    failed = [made(name) for name in refused]
    answer = made(D + "response", href(path))
    kept = [made(name) for name in stored]
    if kept:
        answer.append(_propstat(kept, 424 if failed else 200))
    if failed:
        answer.append(_propstat(failed, 403))
    return answer


def _filled(name: str, content: Callable[[], Content]) -> Element:
    given = content()
    return made(name, given) if isinstance(given, str) else made(name, *given)


def _propstat(found: list[Element], status: int) -> Element:
    return made(D + "propstat", made(D + "prop", *found), made(D + "status", STATUS[status]))


def _minimal() -> bool:
    return "return=minimal" in request.headers.get("Prefer", "") or request.headers.get("Brief") == "t"


STATUS = {
    200: "HTTP/1.1 200 OK",
    403: "HTTP/1.1 403 Forbidden",
    404: "HTTP/1.1 404 Not Found",
    424: "HTTP/1.1 424 Failed Dependency",
    507: "HTTP/1.1 507 Insufficient Storage",
}


def multistatus(responses: Iterable[Element], *more: Element) -> Response:
    """Give the answers for many resources in one."""
    return xml(made(D + "multistatus", *responses, *more), 207)


def xml(root: Element, status: int) -> Response:
    """Give XML."""
    response = Response(written(root), status, mimetype="application/xml")
    response.headers["DAV"] = COMPLIANCE
    return response


COMPLIANCE = "1, 3, calendar-access"
METHODS = "OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, REPORT, PUT, DELETE"

CALENDAR_DATA = C + "calendar-data"


def refusal(status: int, condition: str, words: str, *inside: Element) -> Response:
    """Refuse, with the condition that failed and a sentence for whoever reads it."""
    return xml(
        made(D + "error", made(condition, *inside), made(D + "responsedescription", words)),
        status,
    )
