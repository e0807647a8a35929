"""`yiqi import`: an inventory file into the database, and a sheet to fill in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from booking import db, wording
from booking.cli import read_settings, utc_now
from booking.domain import inventory
from booking.domain.access import SYSTEM, VISITOR, Forbidden, NotFound
from booking.domain.calendar_sources import window
from booking.domain.foreign_calendars import BadCalendar
from booking.domain.inventory import Inventory
from booking.domain.rules import Invalid
from booking.domain.sheets import MOST_BYTES, CellError, Unreadable
from booking.domain.spans import Span
from booking.gateways import calendar_reader
from booking.i18n import format_span, ngettext
from booking.i18n import gettext as _
from booking.services import acting, calendar_imports, imports
from booking.services import instruments as instruments_
from booking.services.calendar_imports import Became, Plan
from booking.services.imports import Broken, Outcome

import_ = click.Group("import", help="Bring in what other systems know.")


@import_.command("instruments")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change and write nothing.")
def instruments(file: Path, *, dry_run: bool) -> None:
    """Create and change instruments by a YAML, CSV or XLSX file, all or nothing.

    Instruments are told by their codes; a second import of the same file changes nothing. YAML also brings
    facilities and networks. Exits with 1 and one line for each fault when anything is wrong with the file.
    """
    found = _read(file)
    # Twenty thousand rows may take their time.
    db.init(read_settings().direct_url, pool_size=2, statement_timeout_ms=0)
    now = utc_now()
    try:
        if dry_run:
            with db.reading() as session:
                outcome = imports.check(session, actor=SYSTEM, inventory=found, now=now)
        else:
            with db.transaction() as session:
                outcome = imports.apply(session, actor=SYSTEM, inventory=found, now=now)
    except Broken as broken:
        _fail(file, broken.errors)
    _report(outcome)
    if dry_run:
        click.echo(_("Dry run: nothing was written."))


@import_.command("calendar")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--instrument", required=True, help="The code of the instrument that was booked there.")
@click.option("--by", required=True, help="The address of a manager of its facility, who does it.")
@click.option("--close", is_flag=True, help="Close it for what belongs to nobody known here.")
@click.option("--dry-run", is_flag=True, help="Say what would come in and write nothing.")
def calendar(file: Path, *, instrument: str, by: str, close: bool, dry_run: bool) -> None:
    """Take over an .ics file, a .zip of such files or Outlook's .csv, all or nothing.

    Events of people who are known by a confirmed address become their bookings. A second import of the same file
    changes nothing. Exits with 1 when the file cannot be read.
    """
    settings = read_settings()
    db.init(settings.direct_url, pool_size=2, statement_timeout_ms=0)
    now = utc_now()
    with file.open("rb") as opened:
        data = opened.read(calendar_reader.LIMITS.octets + 1)
    take = calendar_imports.check if dry_run else calendar_imports.apply
    try:
        with db.reading() as session:
            actor = acting.actor_of(session, acting.person_called(session, by, field="by")) or VISITOR
            zone = instruments_.by_code(session, actor=actor, code=instrument).facility.zone
        within = Span(now, window(now).end)
        understood = calendar_reader.read(data, zone=zone, within=within, name=file.name)
        with db.transaction() as session:
            plan = take(
                session,
                actor=actor,
                instrument=instruments_.by_code(session, actor=actor, code=instrument),
                reading=understood,
                closing=close,
                words=_("Taken over from a calendar"),
                most=calendar_reader.LIMITS.total,
                now=now,
            )
    except BadCalendar as error:
        raise click.ClickException(wording.source_failure(error.code)) from None
    except Invalid as error:
        told = "; ".join(f"{name}: {wording.error_sentence(code)}" for name, code in error.errors.items())
        raise click.ClickException(told) from None
    except NotFound:
        raise click.ClickException(_("There is no instrument %(code)s.", code=instrument)) from None
    except Forbidden:
        raise click.ClickException(_("%(email)s does not manage this instrument.", email=by)) from None
    _report_calendar(plan, zone, dry_run)


def _report_calendar(plan: Plan, zone: str, dry_run: bool) -> None:
    for line in plan.lines:
        when = format_span(line.entry.span.start, line.entry.span.end, zone)
        if line.became is Became.NOTHING:
            said = "; ".join(
                [
                    wording.import_why(line.why),
                    *(wording.sentence(one.code, one.params) for one in line.reasons),
                ]
            )
        else:
            said = _("closure") if line.person is None else _("booking of %(name)s", name=line.person.name)
        click.echo(f"{when}: {line.entry.title}: {said}")
    click.echo(
        _(
            "%(bookings)d bookings, %(closures)d closures, %(left)d left out, %(unread)d not understood.",
            bookings=plan.count(Became.BOOKING),
            closures=plan.count(Became.CLOSURE),
            left=plan.count(Became.NOTHING),
            unread=len(plan.unread),
        )
    )
    if dry_run:
        click.echo(_("Dry run: nothing was written."))


@import_.command("template")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def template(file: Path, *, force: bool) -> None:
    """Write an empty sheet, .xlsx or .csv, with all columns and a sample row."""
    if file.exists() and not force:
        raise click.ClickException(_("%(file)s exists; --force replaces it.", file=file))
    try:
        file.write_bytes(inventory.template(file.name))
    except Unreadable as wrong:
        raise click.ClickException(wording.cell_sentence(wrong.code, wrong.params)) from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(_("Wrote %(file)s. Replace the sample row by your own.", file=file))


def _read(file: Path) -> Inventory:
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    try:
        found = inventory.read(data, file.name)
    except Unreadable as wrong:
        click.echo(f"{file.name}: {wrong.code}: {wording.cell_sentence(wrong.code, wrong.params)}", err=True)
        _nothing(1)
    if found.errors:
        _fail(file, found.errors)
    return found


def _fail(file: Path, errors: Iterable[CellError]) -> NoReturn:
    count = 0
    for error in errors:
        click.echo(f"{file.name}: {_place(error)}{error.code}: {_sentence(error)}", err=True)
        count += 1
    _nothing(count)


def _nothing(count: int) -> NoReturn:
    said = ngettext(
        "%(num)d fault; nothing was written.", "%(num)d faults; nothing was written.", count, num=count
    )
    click.echo(said, err=True)
    raise SystemExit(1)


def _sentence(error: CellError) -> str:
    return wording.cell_sentence(error.code, error.params)


def _place(error: CellError) -> str:
    parts = []
    if error.row is not None:
        parts.append(_("row %(row)s", row=error.row))
    if error.key:
        parts.append(error.key)
    if error.column:
        parts.append(error.column)
    return f"{', '.join(parts)}: " if parts else ""


def _report(outcome: Outcome) -> None:
    for note in outcome.notes:
        key = f"{note.key}: " if note.key else ""
        click.echo(f"{key}{wording.note_sentence(note.code, note.params)}")
    for sort, code in outcome.created:
        click.echo(_("new %(sort)s %(code)s", sort=wording.sort_name(sort), code=code))
    for change in outcome.changed:
        fields = "; ".join(
            f"{name}: {_shown(before)} → {_shown(after)}" for name, (before, after) in change.fields.items()
        )
        click.echo(
            _(
                "%(sort)s %(code)s: %(fields)s",
                sort=wording.sort_name(change.sort),
                code=change.code,
                fields=fields,
            )
        )
    click.echo(
        _(
            "%(created)d created, %(changed)d changed, %(unchanged)d unchanged.",
            created=len(outcome.created),
            changed=len(outcome.changed),
            unchanged=outcome.unchanged,
        )
    )


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value).replace("\n", " / ")
