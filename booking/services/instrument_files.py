"""Photos and documents of instruments: kept here, in an order, each for everybody, the signed in, or staff."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain import papers, photos
from booking.domain.access import Actor, NotFound, Subject, may, require
from booking.domain.photo_privacy import plain
from booking.domain.rules import Invalid, Reason, Refused
from booking.services import events, instruments
from models import FileSort, Instrument, InstrumentFile, Readership

MOST = 40
LONGEST_TITLE = 300


@dataclass(frozen=True, slots=True)
class Cover:
    """The photo that stands for an instrument in lists."""

    id: UUID
    title_zh: str
    title_en: str
    small: bool


def add(
    session: Session,
    *,
    actor: Actor,
    code: str,
    sort: FileSort,
    content: bytes,
    title_zh: str = "",
    title_en: str = "",
    audience: Readership = Readership.EVERYONE,
    small: bytes = b"",
    now: datetime,
) -> InstrumentFile:
    """Put a photo or a document to an instrument, after those that are there; `small` is a photo for lists.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if the file is of a kind that is not kept, or its words make no sense
    :raises Refused: if there are too many of them
    """
    row = _mine(session, actor, code)
    titles = _titles(sort, title_zh, title_en)
    width = height = None
    small_type = ""
    if sort is FileSort.PHOTO:
        found = photos.picture(content)
        media, width, height = found.media_type, found.width, found.height
        content = plain(content, media)
        small_type = _small_type(small)
        small = plain(small, small_type)
        audience = Readership.EVERYONE
    else:
        media, small = papers.media_type(content), b""
    count, last = session.execute(
        select(func.count(), func.max(InstrumentFile.position)).where(InstrumentFile.instrument_id == row.id)
    ).one()
    if count >= MOST:
        raise Refused([Reason("too_many_files", {"most": MOST})])
    file = InstrumentFile(
        id=uuid4(),
        instrument_id=row.id,
        sort=sort,
        audience=audience,
        position=0 if last is None else last + 1,
        media_type=media,
        size=len(content),
        width=width,
        height=height,
        digest=hashlib.sha256(content).digest(),
        content=content,
        small=small or None,
        small_type=small_type,
        added_by=actor.person_id,
        added_at=now,
        **titles,
    )
    session.add(file)
    session.flush()
    _record(session, actor, "file.added", row, file, now, sha256=file.digest.hex())
    return file


def change(
    session: Session,
    *,
    actor: Actor,
    code: str,
    file_id: UUID,
    title_zh: str,
    title_en: str,
    audience: Readership,
    now: datetime,
) -> InstrumentFile:
    """Give a file other words, or show it to others.

    :raises NotFound: if there is no such instrument or file for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if its words make no sense
    """
    row = _mine(session, actor, code)
    file = _one(session, row, file_id)
    wanted = _titles(file.sort, title_zh, title_en)
    wanted["audience"] = Readership.EVERYONE if file.sort is FileSort.PHOTO else audience
    changes = {
        name: [getattr(file, name), value] for name, value in wanted.items() if getattr(file, name) != value
    }
    for name, (_, value) in changes.items():
        setattr(file, name, value)
    if changes:
        session.flush()
        told = {name: [str(old), str(new)] for name, (old, new) in changes.items()}
        _record(session, actor, "file.changed", row, file, now, changes=told)
    return file


def move(session: Session, *, actor: Actor, code: str, file_id: UUID, earlier: bool, now: datetime) -> None:
    """Let a file change places with the one of its sort before or after it.

    :raises NotFound: if there is no such instrument or file for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = _mine(session, actor, code)
    file = _one(session, row, file_id)
    alike = [one for one in of_instrument(session, instrument_id=row.id) if one.sort is file.sort]
    at = [one.id for one in alike].index(file_id)
    to = at - 1 if earlier else at + 1
    if not 0 <= to < len(alike):
        return
    # Places may be the same where files of both sorts came at once: number all of the sort anew.
    alike[at], alike[to] = alike[to], alike[at]
    for position, one in enumerate(alike):
        one.position = position
    session.flush()
    _record(session, actor, "files.sorted", row, file, now)


def remove(session: Session, *, actor: Actor, code: str, file_id: UUID, now: datetime) -> None:
    """Take a file away; that it was there, and what it was, stays in the history.

    :raises NotFound: if there is no such instrument or file for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = _mine(session, actor, code)
    file = _one(session, row, file_id)
    _record(session, actor, "file.removed", row, file, now, sha256=file.digest.hex())
    session.delete(file)
    session.flush()


def of_instrument(session: Session, *, instrument_id: int) -> list[InstrumentFile]:
    """Give all files of an instrument without their contents, photos first, in their order."""
    query = select(InstrumentFile).where(InstrumentFile.instrument_id == instrument_id)
    rows = session.scalars(
        query.order_by(InstrumentFile.position, InstrumentFile.added_at, InstrumentFile.id)
    )
    return sorted(rows, key=lambda one: one.sort is FileSort.DOCUMENT)


def listing(session: Session, *, actor: Actor, instrument: Instrument) -> list[InstrumentFile]:
    """Give the files of an instrument that this actor may read, for who has been let see the instrument."""
    return [
        file
        for file in of_instrument(session, instrument_id=instrument.id)
        if _may_read(actor, instrument, file)
    ]


def read(
    session: Session, *, actor: Actor, code: str, file_id: UUID, small: bool = False
) -> tuple[Instrument, InstrumentFile, bytes]:
    """Give a file with its content, or a photo's small copy where it has one.

    :raises NotFound: if there is none that this actor may read
    """
    row = instruments.by_code(session, actor=actor, code=code)
    file = _one(session, row, file_id)
    if not _may_read(actor, row, file):
        raise NotFound("file", file_id)
    column = InstrumentFile.small if small and file.small_type else InstrumentFile.content
    content = session.scalar(select(column).where(InstrumentFile.id == file_id))
    if content is None:
        raise NotFound("file", file_id)
    return row, file, content


def covers(session: Session, *, instrument_ids: Iterable[int]) -> Mapping[int, Cover]:
    """Give the first photo of each instrument that is small enough for lists; one statement."""
    query = (
        select(
            InstrumentFile.instrument_id,
            InstrumentFile.id,
            InstrumentFile.title_zh,
            InstrumentFile.title_en,
            InstrumentFile.small_type,
        )
        .where(
            InstrumentFile.instrument_id.in_(list(instrument_ids)),
            InstrumentFile.sort == FileSort.PHOTO,
            (InstrumentFile.small_type != "") | (InstrumentFile.size <= photos.LARGEST_SMALL),
        )
        .order_by(InstrumentFile.position.desc(), InstrumentFile.added_at.desc())
    )
    return {
        row.instrument_id: Cover(row.id, row.title_zh, row.title_en, bool(row.small_type))
        for row in session.execute(query)
    }


def _mine(session: Session, actor: Actor, code: str) -> Instrument:
    row = instruments.by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=row.facility_id))
    session.execute(select(Instrument.id).where(Instrument.id == row.id).with_for_update())
    return row


def _one(session: Session, row: Instrument, file_id: UUID) -> InstrumentFile:
    file = session.scalar(
        select(InstrumentFile).where(InstrumentFile.id == file_id, InstrumentFile.instrument_id == row.id)
    )
    if file is None:
        raise NotFound("file", file_id)
    return file


def _may_read(actor: Actor, row: Instrument, file: InstrumentFile) -> bool:
    if file.audience is Readership.EVERYONE:
        return True
    staff = may(actor, "facility.desk", Subject(facility_id=row.facility_id))
    return staff or (file.audience is Readership.SIGNED_IN and actor.signed_in)


def _titles(sort: FileSort, zh: str, en: str) -> dict[str, object]:
    errors = {}
    for name, text in (("title_zh", zh), ("title_en", en)):
        if len(text) > LONGEST_TITLE:
            errors[name] = "too_long_text"
        elif not text.isprintable():
            errors[name] = "control_characters"
    if sort is FileSort.DOCUMENT and not (zh or en):
        errors["title_zh"] = "required"
    if errors:
        raise Invalid(errors)
    return {"title_zh": zh, "title_en": en}


def _small_type(small: bytes) -> str:
    if not small:
        return ""
    if len(small) > photos.LARGEST_SMALL:
        raise Invalid({"small": "too_large_photo"})
    return photos.picture(small, field="small").media_type


def _record(
    session: Session,
    actor: Actor,
    kind: str,
    row: Instrument,
    file: InstrumentFile,
    now: datetime,
    **data: Any,
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=row.code,
        file_id=str(file.id),
        sort=file.sort.value,
        title=file.title_zh or file.title_en,
        **data,
    )


def sorts(files: Sequence[InstrumentFile]) -> tuple[list[InstrumentFile], list[InstrumentFile]]:
    """Give the photos, then the documents."""
    return (
        [file for file in files if file.sort is FileSort.PHOTO],
        [file for file in files if file.sort is FileSort.DOCUMENT],
    )
