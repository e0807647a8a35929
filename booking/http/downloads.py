"""Files that people gave us: how large they may come in, and how they go out without ever being run."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from flask import Request, Response, request

from booking.domain import sheets
from booking.domain.papers import LARGEST, MEGABYTE, file_name

UPLOADS = frozenset({"application/octet-stream", "application/pdf", "image/png", "image/jpeg", "image/webp"})
"""What the API takes as a file: types that no other site can send without asking."""

_ROUTES = frozenset(
    {
        *("api-approvals.add", "api-series.add_paper", "web.add_paper", "web.add_series_paper"),
        *("api-working-days.sheet", "web.announce_days"),
        *("api-instrument-files.add", "web.add_file"),
        "web.import_file",
        *("api-networks.set_logo", "web.set_network_logo"),
    }
)
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SANDBOX = "default-src 'none'; sandbox"


def takes_file(request: Request) -> bool:
    """Tell whether the request's address takes a file, which is let be larger than other bodies."""
    if request.endpoint not in _ROUTES:
        return False
    request.max_content_length = LARGEST + MEGABYTE  # the form around it is no file
    return True


def paper(title: str, media_type: str, content: bytes) -> Response:
    """Give a file to be saved, never to be shown as a page of ours."""
    name = file_name(title, media_type)
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    answer = Response(content, mimetype=media_type)
    answer.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    )
    answer.headers["Content-Security-Policy"] = _SANDBOX
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def picture(media_type: str, content: bytes, *, tag: str, public: bool) -> Response:
    """Give a picture to be shown in pages of ours, as a picture and nothing else; it never changes."""
    answer = Response(content, mimetype=media_type)
    answer.headers["Content-Security-Policy"] = _SANDBOX
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if public else "private, max-age=300"
    )
    answer.set_etag(tag)
    answer.make_conditional(request)
    return answer


def table_file(name: str, kind: str, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Give a table to be saved, as CSV or XLSX; its name is one of ours, in plain letters."""
    if kind == "csv":
        answer = Response(sheets.write_csv(heading, rows), content_type="text/csv; charset=utf-8")
    else:
        answer = Response(sheets.write_xlsx(heading, rows, title=name), content_type=_XLSX)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    answer.headers["Content-Security-Policy"] = _SANDBOX
    answer.headers["Cache-Control"] = "no-store"
    return answer
