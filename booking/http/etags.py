"""Versions of things as HTTP writes them."""

from flask import Response, abort, request

from booking.domain.rules import Invalid

NEVER = -1
"""The version that nothing has: what the client names is none of ours."""


def of_version(version: int) -> str:
    """Give the strong entity tag of a version."""
    return f'"{version}"'


def mark(response: Response, version: int) -> Response:
    """Put the version's tag on an answer."""
    response.headers["ETag"] = of_version(version)
    return response


def unchanged(version: int) -> bool:
    """Tell whether the client has this version already, by `If-None-Match`."""
    return request.if_none_match.contains_weak(str(version))


def version_wanted() -> int | None:
    """Give the version which the client says it changes, None if it says none or `*`.

    A tag that is none of ours, or a weak one, gives a version that nothing has (RFC 9110, 13.1.1).

    :raises Invalid: if `If-Match` holds several tags
    """
    raw = request.headers.get("If-Match", "").strip()
    if raw in {"", "*"}:
        return None
    if "," in raw:
        raise Invalid({"If-Match": "malformed"})
    digits = raw.removeprefix('"').removesuffix('"')
    if raw != f'"{digits}"' or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return NEVER
    return int(digits)


def version_required() -> int | None:
    """Give the version which the client says it changes, None for `*`.

    :raises PreconditionRequired: if it says none
    """
    if "If-Match" not in request.headers:
        abort(428)
    return version_wanted()
