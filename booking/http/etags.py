"""Versions of things as HTTP writes them."""

from flask import Response, request

from booking.domain.rules import Invalid


def of_version(version: int) -> str:
    """Give the strong entity tag of a version."""
    return f'"{version}"'


def mark(response: Response, version: int) -> Response:
    """Put the version's tag on an answer."""
    response.headers["ETag"] = of_version(version)
    return response


def version_wanted() -> int | None:
    """Give the version which the client says it changes, None if it says none or `*`.

    :raises Invalid: if `If-Match` holds anything but one of our tags
    """
    raw = request.headers.get("If-Match", "").strip()
    if raw in {"", "*"}:
        return None
    digits = raw.removeprefix('"').removesuffix('"')
    if raw != f'"{digits}"' or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise Invalid({"If-Match": "malformed"})
    return int(digits)
