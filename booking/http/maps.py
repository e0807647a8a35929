"""Pages with a map: where its tiles come from, and what such a page may do that no other may."""

from urllib.parse import urlsplit

from flask import Flask, g

from booking.http.context import settings


def init(app: Flask) -> None:
    """Give templates `map_tiles` and `ask_place`."""
    app.jinja_env.globals.update(map_tiles=map_tiles, ask_place=ask_place)


def map_tiles() -> tuple[str, str]:
    """Give the address of the tiles and who made them, nothing by default; the page may load pictures from there."""
    address = settings().map_tiles
    if address:
        parts = urlsplit(address)
        g.tiles_host = f"{parts.scheme}://{parts.netloc}"
    return address, settings().map_attribution


def ask_place() -> str:
    """Let the page ask the browser where it is, once somebody presses a button for it; give nothing to show."""
    g.asks_place = True
    return ""
