"""The page of the resolver: tables between marks, with the machine, the day and the load they were measured under."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "resolver.md"


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay a table out."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def conditions() -> str:
    """The machine, the day, and how busy it was: seconds mean nothing without."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}."
    )


def keep(text: str, begin: str, end: str) -> None:
    """Put text between its marks on the page, at the end where there are none."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# The resolver\n"
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
