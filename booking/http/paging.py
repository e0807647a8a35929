"""Pages of lists."""

from urllib.parse import urlencode

from flask import request

from booking.domain.rules import Invalid

MOST_PAGES = 100_000


def page_wanted(default: int = 50, most: int = 200) -> tuple[int, int]:
    """Give the page, from 1, and how many on it, from the query.

    :raises Invalid: if either is no whole number in its range
    """
    return _whole("page", 1, MOST_PAGES), _whole("page_size", default, most)


def _whole(name: str, default: int, most: int) -> int:
    raw = request.args.get(name)
    if raw is None:
        return default
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
        raise Invalid({name: "malformed"})
    if not 1 <= int(raw) <= most:
        raise Invalid({name: "out_of_range"})
    return int(raw)


def page_url(page: int) -> str:
    """Give the address of another page of the list at hand, all else as asked."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "page"]
    return f"{request.path}?{urlencode([*query, ('page', page)])}"


def next_url(total: int, page: int, page_size: int) -> str | None:
    """Give the address of the next page, None after the last."""
    return page_url(page + 1) if page * page_size < total else None
