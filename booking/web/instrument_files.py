"""Photos and documents of an instrument: put there, worded, put in order, taken away; and given out."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain.access import Subject, require
from booking.domain.papers import MEGABYTE
from booking.domain.rules import Invalid, Reason, Refused
from booking.http import downloads
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import either, format_number
from booking.i18n import gettext as _
from booking.services import instrument_files, instruments
from booking.services.instrument_files import LONGEST_TITLE
from booking.web import blueprint
from booking.web.forms import Intake
from booking.web.judgement import sentences
from models import FileSort, InstrumentFile, Readership

Answer = str | Redirect | tuple[str, int]

WORDS = ("title_zh", "title_en", "audience")


def _give(state: BlueprintSetupState) -> None:
    state.app.jinja_env.globals.update(file_title=title_of, file_size=size_of, file_type=type_name)


blueprint.record_once(_give)


@blueprint.get("/instruments/<code>/files", endpoint="instrument_files")
@needs("instrument.edit")
def show(code: str) -> Answer:
    """Show the photos and documents of an instrument as they can be kept."""
    return _page(code)


@blueprint.post("/instruments/<code>/files", endpoint="add_file")
@needs("instrument.edit")
def add(code: str) -> Answer:
    """Put a photo or a document to an instrument."""
    typed = fields("sort", *WORDS)
    intake = Intake(typed)
    sort = intake.choice("sort", FileSort)
    audience = intake.choice("audience", Readership, Readership.EVERYONE)
    title_zh = intake.text("title_zh", longest=LONGEST_TITLE)
    title_en = intake.text("title_en", longest=LONGEST_TITLE)
    file, small = request.files.get("file"), request.files.get("small")
    if sort is FileSort.DOCUMENT and file is not None and not (title_zh or title_en):
        title_zh = (file.filename or "").rpartition(".")[0][:LONGEST_TITLE]
    try:
        intake.demand()
        with transaction() as session:
            instrument_files.add(
                session,
                actor=actor(),
                code=code,
                sort=sort or FileSort.DOCUMENT,
                content=file.read() if file is not None else b"",
                small=small.read() if small is not None else b"",
                title_zh=title_zh,
                title_en=title_en,
                audience=audience or Readership.EVERYONE,
                now=utc_now(),
            )
    except Invalid as error:
        return _page(code, typed=typed, errors=error.errors, status=422)
    except Refused as refusal:
        return _page(code, typed=typed, reasons=refusal.reasons, status=409)
    flash(_("It is there."), "success")
    return redirect(url_for("web.instrument_files", code=code), 303)


@blueprint.post("/instruments/<code>/files/<uuid:file_id>", endpoint="change_file")
@needs("instrument.edit")
def change(code: str, file_id: UUID) -> Answer:
    """Give a file other words, or show it to others."""
    typed = fields(*WORDS, "move")
    intake = Intake(typed)
    try:
        if typed["move"]:
            with transaction() as session:
                instrument_files.move(
                    session,
                    actor=actor(),
                    code=code,
                    file_id=file_id,
                    earlier=typed["move"] == "earlier",
                    now=utc_now(),
                )
            return redirect(url_for("web.instrument_files", code=code, _anchor=f"file-{file_id}"), 303)
        audience = intake.choice("audience", Readership, Readership.EVERYONE)
        title_zh = intake.text("title_zh", longest=LONGEST_TITLE)
        title_en = intake.text("title_en", longest=LONGEST_TITLE)
        intake.demand()
        with transaction() as session:
            instrument_files.change(
                session,
                actor=actor(),
                code=code,
                file_id=file_id,
                title_zh=title_zh,
                title_en=title_en,
                audience=audience or Readership.EVERYONE,
                now=utc_now(),
            )
    except Invalid as error:
        return _page(code, of=file_id, typed=typed, errors=error.errors, status=422)
    flash(_("Kept."), "success")
    return redirect(url_for("web.instrument_files", code=code, _anchor=f"file-{file_id}"), 303)


@blueprint.post("/instruments/<code>/files/<uuid:file_id>/removal", endpoint="remove_file")
@needs("instrument.edit")
def remove(code: str, file_id: UUID) -> Answer:
    """Take a file away."""
    fields()
    with transaction() as session:
        instrument_files.remove(session, actor=actor(), code=code, file_id=file_id, now=utc_now())
    flash(_("It is removed. The history says that it was there."), "success")
    return redirect(url_for("web.instrument_files", code=code), 303)


@blueprint.get("/instruments/<code>/photos/<uuid:file_id>", endpoint="photo")
@needs("catalogue.read")
def photo(code: str, file_id: UUID) -> Response:
    """Give a photo to be shown, small where that is asked for and there is such a copy."""
    small = request.args.get("size") == "small"
    with reading() as session:
        row, file, content = instrument_files.read(
            session, actor=actor(), code=code, file_id=file_id, small=small
        )
    if file.sort is not FileSort.PHOTO:
        return downloads.paper(title_of(file), file.media_type, content)
    is_small = small and bool(file.small_type)
    return downloads.picture(
        file.small_type if is_small else file.media_type,
        content,
        tag=file.digest.hex() + ("-small" if is_small else ""),
        public=row.published,
    )


@blueprint.get("/instruments/<code>/files/<uuid:file_id>", endpoint="file")
@needs("catalogue.read")
def file_to_save(code: str, file_id: UUID) -> Response:
    """Give a photo or a document to be saved."""
    with reading() as session:
        _row, file, content = instrument_files.read(session, actor=actor(), code=code, file_id=file_id)
    return downloads.paper(title_of(file), file.media_type, content)


def title_of(file: InstrumentFile) -> str:
    """Give the words of a file in the reader's language and characters, or in the other one."""
    return either(file.title_zh, file.title_en)


def size_of(size: int) -> str:
    """Say how large a file is."""
    if size < MEGABYTE:
        return _("%(size)s KB", size=format_number(max(1, round(size / 1024))))
    return _("%(size)s MB", size=format_number(round(size / MEGABYTE, 1)))


def audience_name(audience: Readership) -> str:
    """Say who may read a document."""
    return {
        Readership.EVERYONE: _("Everyone"),
        Readership.SIGNED_IN: _("Who is signed in"),
        Readership.STAFF: _("The facility's staff"),
    }[audience]


def type_name(media_type: str) -> str:
    """Name the type of a file in short."""
    return {"application/pdf": "PDF", "image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}.get(
        media_type, _("Text")
    )


def _page(
    code: str,
    *,
    of: UUID | None = None,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    status: int = 200,
) -> Answer:
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=code)
        require(actor(), "instrument.edit", Subject(facility_id=row.facility_id))
        photos, documents = instrument_files.sorts(
            instrument_files.of_instrument(session, instrument_id=row.id)
        )
    labels = {
        "file": _("File"),
        "small": _("File"),
        "sort": _("What it is"),
        "title_zh": _("Words in Chinese"),
        "title_en": _("Words in English"),
        "audience": _("Who may read it"),
    }
    wrong = dict(errors or {})
    suffix = "" if of is None else f"-{of}"
    sort = (typed or {}).get("sort", "")
    place = suffix or (f"-{sort}" if sort else "-photo")
    page = render_template(
        "instruments/files.html",
        instrument=row,
        photos=photos,
        documents=documents,
        of=of,
        typed=typed or {},
        problems={name: wording.error_sentence(code) for name, code in wrong.items()},
        errors={
            f"{name}{place}": _(
                "%(field)s: %(problem)s", field=labels.get(name, name), problem=wording.error_sentence(code)
            )
            for name, code in wrong.items()
        },
        reasons=sentences(reasons, row.facility.zone),
        labels=labels,
        audiences=[(one.value, audience_name(one)) for one in Readership],
    )
    return page, status
