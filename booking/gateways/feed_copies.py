"""The last good answer of each feed in each of its forms, kept as a file for the time when the database is away.

A copy is named by the hash of its address's secret. It also spares rendering a feed that has not changed.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile


@dataclass(frozen=True, slots=True)
class Copy:
    """A feed as it was answered; `modified` is in whole seconds."""

    etag: str
    modified: datetime
    body: bytes


def read(folder: Path, file_name: str, etag: str | None = None) -> Copy | None:
    """Give the copy of this name, None if there is none or it is torn; of another version than asked for no body."""
    try:
        with (folder / file_name).open("rb") as file:
            about = json.loads(file.readline())
            modified = datetime.fromtimestamp(about["modified"], UTC)
            if etag not in {None, about["etag"]}:
                return Copy(about["etag"], modified, b"")
            body = file.read()
        return Copy(about["etag"], modified, body) if len(body) == about["length"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(folder: Path, file_name: str, copy: Copy) -> None:
    """Keep a copy, whole or not at all, readable by this server alone.

    :raises OSError: if it cannot be written
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = {"etag": copy.etag, "modified": int(copy.modified.timestamp()), "length": len(copy.body)}
    with NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        try:
            file.write(json.dumps(about).encode() + b"\n")
            file.write(copy.body)
            file.flush()
        except OSError:
            os.unlink(file.name)  # noqa: PTH108 - the name is a string
            raise
    Path(file.name).replace(folder / file_name)


def remove(folder: Path, secret_hash: bytes) -> None:
    """Forget every copy of an address."""
    for copy in folder.glob(f"{secret_hash.hex()}*"):
        copy.unlink(missing_ok=True)


def name(secret_hash: bytes, ending: str, *, cancelled: bool) -> str:
    """Give the name under which a feed is kept, by its form and the options of its address."""
    return f"{secret_hash.hex()}{'-cancelled' if cancelled else ''}.{ending}"
