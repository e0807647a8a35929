"""Files: written whole or not at all, room left on the disk, and backups as one archive."""

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST_MANIFEST = 1_000_000
LONGEST_LINE = 64_000_000
"""Bytes; longer lines are no rows of ours."""


class BadArchive(Exception):
    """The file is no backup, or no longer the one that was written; the message says what is wrong."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only we may read, and let it appear under its name when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(path) as file:
        file.write(content)


def free_bytes(folder: Path) -> int:
    """Give the room on the disk of a folder, or of the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.resolve().parent
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Member:
    """A table in an archive: columns with their types, number of rows, and the SHA-256 of its lines."""

    table: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    sha256: str


class ArchiveWriter:
    """Writes tables one after the other; the manifest comes last, so that a torn archive is no archive."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        """Write into an open zip file."""
        self._zip = zipped
        self.members: list[Member] = []

    def add(self, table: str, columns: Iterable[tuple[str, str]], rows: Iterable[list[Any]]) -> int:
        """Write the rows of a table, one JSON array a line, and give their number."""
        digest = hashlib.sha256()
        count = 0
        with self._zip.open(f"{table}.jsonl", "w", force_zip64=True) as file:
            for row in rows:
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                digest.update(line)
                file.write(line)
                count += 1
        self.members.append(Member(table, tuple(columns), count, digest.hexdigest()))
        return count


@contextmanager
def archive_to(path: Path, **about: Any) -> Iterator[ArchiveWriter]:
    """Write an archive that appears under its name when it is whole; `about` stands in its manifest."""
    with (
        _appearing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped,
    ):
        writer = ArchiveWriter(zipped)
        yield writer
        tables = [
            {"table": m.table, "columns": m.columns, "rows": m.rows, "sha256": m.sha256}
            for m in writer.members
        ]
        zipped.writestr(MANIFEST, json.dumps({"format": FORMAT, **about, "tables": tables}, indent=1))


class Archive:
    """A backup that is open for reading. Nothing in it is ever unpacked to a file."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        """Read the manifest.

        :raises BadArchive: if there is none, or none that makes sense
        """
        self._zip = zipped
        self.about = self._manifest()
        try:
            self.members = [
                Member(
                    m["table"], tuple((str(n), str(t)) for n, t in m["columns"]), int(m["rows"]), m["sha256"]
                )
                for m in self.about["tables"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise BadArchive(f"its manifest makes no sense: {error}") from error

    def _manifest(self) -> dict[str, Any]:
        try:
            if self._zip.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
                raise BadArchive("its manifest is too large")
            about = json.loads(self._zip.read(MANIFEST))
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BadArchive("it has no manifest") from error
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise BadArchive("it is of a format that this release does not know")
        return about

    def check(self) -> None:
        """Read everything once and compare it with the manifest.

        :raises BadArchive: if a row is missing, added or changed
        """
        for member in self.members:
            for _ in self._lines(member):
                pass

    def rows(self, member: Member) -> Iterator[list[Any]]:
        """Give the rows of a table; the checksum is compared when all have been read.

        :raises BadArchive: if they are not the rows that were written
        """
        return (_row(line, member) for line in self._lines(member))

    def _lines(self, member: Member) -> Iterator[bytes]:
        digest = hashlib.sha256()
        count = 0
        try:
            with self._zip.open(f"{member.table}.jsonl") as file:
                while line := file.readline(LONGEST_LINE):
                    digest.update(line)
                    count += 1
                    yield line
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BadArchive(f"table {member.table}: {error}") from error
        if count != member.rows or digest.hexdigest() != member.sha256:
            raise BadArchive(f"table {member.table} is not as it was written")


@contextmanager
def archive_from(path: Path) -> Iterator[Archive]:
    """Open a backup.

    :raises BadArchive: if the file is none
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            yield Archive(zipped)
    except zipfile.BadZipFile as error:
        raise BadArchive("it is no zip file") from error


def _row(line: bytes, member: Member) -> list[Any]:
    try:
        row = json.loads(line.decode())
    except ValueError as error:
        raise BadArchive(f"table {member.table}: {error}") from error
    if not isinstance(row, list) or len(row) != len(member.columns):
        raise BadArchive(f"table {member.table} has a row of another shape")
    return row


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that gets its name when it is complete and on the disk; a fault leaves nothing behind."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
