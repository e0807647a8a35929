"""How heavy pages are and how soon one can use them on a slow phone: `python -m tests.bench pages`.

A cold browser of a telephone's size, its processor slowed to a quarter, on a line of 1.6 Mbit/s with 150 ms there and
back. The server stands behind a layer that compresses, as the proxies of `docs/deploy.md` do. `painted` is when the
first words stand there; `usable` is when the scripts of the page have run. Both count from the click, connecting
included. The seconds are the browser's: they lie on a busy machine.
"""

import gzip
import os
import platform
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from booking import db
from booking.services import seeds
from tests import demo
from tests.browser import FLAGS, PHONE, program
from tests.servers import GunicornServer

LINE = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
SLOWER = 4
TIMES = 5
SEM = "DG-SLAB-05"
PAGES = (
    ("-", "/"),
    ("-", "/free"),
    ("-", "/instruments"),
    ("-", f"/instruments/{SEM}"),
    ("ada", "/"),
    ("ada", f"/bookings/new?instrument={SEM}"),
    ("ada", "/bookings"),
    ("tam", "/desk"),
    ("tam", "/timeline"),
    ("tam", "/approvals"),
)
MEASURED = """() => {
    const navigation = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [paint ? paint.startTime : 0, navigation.domContentLoadedEventEnd];
}"""


def main() -> None:
    """Measure the main pages and print them as a table."""
    print(f"# Pages, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"load average at the start: {os.getloadavg()[0]:.1f}\n")
    print("| page | of | requests | kB sent | kB uncompressed | painted, ms | usable, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/pages.sqlite3"
        _fill(url)
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        with GunicornServer(url, workers=1, application="tests.bench.pages:compressing()") as server:
            for who, path in PAGES:
                print(_row(browser, server.base_url, who, path), flush=True)
        browser.close()


def compressing() -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Give the application behind a layer that compresses what it says, as a proxy would."""
    from wsgi import app

    def compressed(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        said: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], *_error: object) -> None:
            said[:] = [status, headers]

        body = b"".join(app(environ, begin))
        kept = [(name, value) for name, value in said[1] if name.lower() != "content-length"]
        if body and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            body = gzip.compress(body, 6)
            kept.append(("Content-Encoding", "gzip"))
        start(said[0], [*kept, ("Content-Length", str(len(body)))])
        return [body]

    return compressed


def _fill(url: str) -> None:
    db.upgrade(url)
    db.init(url)
    with db.transaction() as session:
        demo.fill(session, datetime.now(UTC))
    db.dispose()


def _row(browser: Browser, base: str, who: str, path: str) -> str:
    painted, usable, sizes = [], [], (0, 0, 0)
    for _time in range(TIMES):
        sizes, (paint, ready) = _visit(browser, base, who, path)
        painted.append(paint)
        usable.append(ready)
    requests, sent, whole = sizes
    name = "visitor" if who == "-" else who
    return (
        f"| {path} | {name} | {requests} | {sent / 1000:.0f} | {whole / 1000:.0f}"
        f" | {median(painted):.0f} | {median(usable):.0f} |"
    )


def _visit(browser: Browser, base: str, who: str, path: str) -> tuple[tuple[int, int, int], list[float]]:
    context = browser.new_context(viewport=PHONE, locale="zh-CN")
    page = context.new_page()
    if who != "-":
        page.goto(f"{base}/sign-in")
        page.fill("[name=email]", f"{who}@example.org")
        page.fill("[name=password]", seeds.PASSWORD)
        page.click("main [type=submit]")
        page.wait_for_url(lambda url: "/sign-in" not in url)
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.clearBrowserCache")
    tools.send("Network.emulateNetworkConditions", LINE)
    tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    sent: list[float] = []
    whole: list[int] = []
    tools.on("Network.loadingFinished", lambda event: sent.append(event["encodedDataLength"]))
    tools.on("Network.dataReceived", lambda event: whole.append(event["dataLength"]))
    page.goto(f"{base}{path}", wait_until="networkidle")
    figures = page.evaluate(MEASURED)
    context.close()
    return (len(sent), round(sum(sent)), sum(whole)), figures
