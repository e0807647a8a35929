"""Announcements: banners of a facility, a network or the whole installation, kept by who runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, delete, exists, or_, select, true
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, could, may, require
from booking.domain.announcements import LONGEST, Audience, Level, Shown
from booking.domain.announcements import Announcement as Standing
from booking.domain.rules import Invalid
from booking.domain.text import clean_line
from booking.services import events, networks
from models import Announcement, AnnouncementSeen, Facility, Instrument, Network, NetworkFacility

ACTION = "announcement.keep"
AHEAD = timedelta(hours=1)
"""So far ahead of its begin an announcement is read, for those who keep what they read for a moment."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to announce."""

    text_zh: str
    text_en: str
    level: Level
    shown: Shown
    audience: Audience
    begins_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """The page that asks: of a facility, an instrument or a network by its code, or of none."""

    facility: str = ""
    instrument: str = ""
    network: str = ""
    desk: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """An announcement and of whom it is; of neither: of the whole installation."""

    row: Announcement
    facility: Facility | None
    network: Network | None


# --- reading --------------------------------------------------------------------------------------


def standing(session: Session, *, now: datetime) -> list[Standing]:
    """Give what stands now or in a moment, for everybody; who may read which is asked of each. Two statements."""
    rows = session.scalars(
        select(Announcement)
        .where(
            Announcement.begins_at <= now + AHEAD,
            or_(Announcement.ends_at.is_(None), Announcement.ends_at > now),
        )
        .order_by(Announcement.level.desc(), Announcement.begins_at.desc(), Announcement.id)
    ).all()
    members = _members(session, {row.network_id for row in rows if row.network_id is not None})
    return [_standing(row, members) for row in rows]


def _members(session: Session, network_ids: set[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {place: set() for place in network_ids}
    if network_ids:
        query = select(NetworkFacility).where(NetworkFacility.network_id.in_(network_ids))
        for row in session.scalars(query):
            found[row.network_id].add(row.facility_id)
    return found


def _standing(row: Announcement, members: dict[int, set[int]]) -> Standing:
    places: frozenset[int] | None = None
    if row.facility_id is not None:
        places = frozenset({row.facility_id})
    elif row.network_id is not None:
        places = frozenset(members[row.network_id])
    return Standing(
        id=row.id,
        version=row.version,
        level=row.level,
        shown=row.shown,
        audience=row.audience,
        text_zh=row.text_zh,
        text_en=row.text_en,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        network_id=row.network_id,
        places=places,
    )


def not_put_away(
    session: Session, *, actor: Actor, among: Sequence[Standing], where: Where
) -> list[Standing]:
    """Give those that stand on a page and that the actor has not put away. One statement."""
    here = [one for one in among if one.shown is not Shown.DESK or where.desk]
    if not here:
        return []
    query = select(Announcement.id).where(
        Announcement.id.in_([one.id for one in here]),
        or_(Announcement.shown != Shown.PLACE, _about(where)),
    )
    if actor.signed_in:
        seen = exists().where(
            AnnouncementSeen.announcement_id == Announcement.id,
            AnnouncementSeen.person_id == actor.person_id,
            AnnouncementSeen.version >= Announcement.version,
        )
        query = query.where(~seen)
    found = set(session.scalars(query))
    return [one for one in here if one.id in found]


def _about(where: Where) -> ColumnElement[bool]:
    """Give what holds for those whose facility or network a page is about."""
    if where.network:
        return Announcement.network_id == _id_of(Network, where.network)
    if where.facility:
        place = _id_of(Facility, where.facility)
    else:
        place = select(Instrument.facility_id).where(Instrument.code == where.instrument).scalar_subquery()
    member = exists().where(
        NetworkFacility.network_id == Announcement.network_id, NetworkFacility.facility_id == place
    )
    return or_(Announcement.facility_id == place, and_(Announcement.network_id.is_not(None), member))


def _id_of(table: type[Facility | Network], code: str) -> ScalarSelect[int]:
    return select(table.id).where(table.code == code).scalar_subquery()


def for_reader(session: Session, *, actor: Actor, now: datetime) -> list[Kept]:
    """Give all that stands now and that the actor may read, warnings first."""
    found = {one.id: one for one in standing(session, now=now) if one.live(now) and one.read_by(actor)}
    kept = {one.row.id: one for one in _kept(session, Announcement.id.in_(found))}
    return [kept[place] for place in found if place in kept]


def listing(session: Session, *, actor: Actor) -> list[Kept]:
    """Give all that the actor may keep, the newest first, those that are over too.

    :raises Forbidden: if the actor keeps none
    """
    require_somewhere(actor)
    if actor.administrator:
        return _kept(session, true())
    mine = Announcement.facility_id.in_(actor.manages | _of_officer(session, actor))
    return _kept(session, or_(mine, Announcement.network_id.in_(actor.officer_of)))


def _kept(session: Session, which: ColumnElement[bool]) -> list[Kept]:
    query = (
        select(Announcement, Facility, Network)
        .outerjoin(Facility, Facility.id == Announcement.facility_id)
        .outerjoin(Network, Network.id == Announcement.network_id)
        .where(which)
        .order_by(Announcement.begins_at.desc(), Announcement.id)
    )
    return [Kept(*row) for row in session.execute(query)]


def _of_officer(session: Session, actor: Actor) -> frozenset[int]:
    query = select(NetworkFacility.facility_id).where(NetworkFacility.network_id.in_(actor.officer_of))
    return frozenset(session.scalars(query))


def get(session: Session, *, actor: Actor, announcement_id: UUID) -> Kept:
    """Give one that the actor may keep.

    :raises NotFound: if there is none
    """
    row = session.get(Announcement, announcement_id)
    if row is None or not may(actor, ACTION, _subject(session, row.facility_id, row.network_id)):
        raise NotFound("announcement", announcement_id)
    return Kept(
        row,
        session.get(Facility, row.facility_id) if row.facility_id is not None else None,
        session.get(Network, row.network_id) if row.network_id is not None else None,
    )


def places(session: Session, *, actor: Actor) -> tuple[list[Facility], list[Network]]:
    """Give the facilities and networks for which the actor may announce something.

    :raises Forbidden: if there is none
    """
    require_somewhere(actor)
    facility, network = select(Facility).order_by(Facility.code), select(Network).order_by(Network.code)
    if not actor.administrator:
        facility = facility.where(Facility.id.in_(actor.manages | _of_officer(session, actor)))
        network = network.where(Network.id.in_(actor.officer_of))
    return list(session.scalars(facility)), list(session.scalars(network))


def require_somewhere(actor: Actor) -> None:
    """Let pass who may announce something anywhere.

    :raises Forbidden: if the actor may not
    """
    if not could(actor, ACTION):
        require(actor, ACTION)


# --- writing --------------------------------------------------------------------------------------


def make(
    session: Session, *, actor: Actor, facility: str = "", network: str = "", draft: Draft, now: datetime
) -> Announcement:
    """Announce something for a facility or a network by its code, for the whole installation without either.

    :raises Forbidden: if the actor runs neither that facility nor that network, nor administers
    :raises Invalid: if the place is unknown or the draft makes no sense
    """
    place = _place(session, facility, network)
    require(actor, ACTION, _subject(session, *place))
    _check(draft, everywhere=place == (None, None), now=now)
    row = Announcement(
        facility_id=place[0],
        network_id=place[1],
        created_by=actor.person_id,
        created_at=now,
        version=1,
        **_columns(draft),
    )
    session.add(row)
    session.flush()
    _record(session, actor, "announcement.made", row, now)
    return row


def change(
    session: Session, *, actor: Actor, announcement_id: UUID, draft: Draft, now: datetime
) -> Announcement:
    """Change an announcement; who had put it away sees it again if its words or its level changed.

    :raises NotFound: if there is none that this actor may keep
    :raises Invalid: if the draft makes no sense
    """
    row = get(session, actor=actor, announcement_id=announcement_id).row
    _check(draft, everywhere=row.facility_id is None and row.network_id is None, now=now, before=row)
    wanted = _columns(draft)
    changed = {name for name, value in wanted.items() if getattr(row, name) != value}
    if not changed:
        return row
    for name in changed:
        setattr(row, name, wanted[name])
    if changed & {"text_zh", "text_en", "level"}:
        row.version += 1
    session.flush()
    _record(session, actor, "announcement.changed", row, now)
    return row


def end(session: Session, *, actor: Actor, announcement_id: UUID, now: datetime) -> None:
    """Take an announcement down: one that has begun ends now, one that has not is gone. Twice changes nothing.

    :raises NotFound: if there is none that this actor may keep
    """
    row = get(session, actor=actor, announcement_id=announcement_id).row
    if row.ends_at is not None and row.ends_at <= now:
        return
    _record(session, actor, "announcement.ended", row, now)
    if row.begins_at < now:
        row.ends_at = now
    else:
        session.delete(row)
    session.flush()


def put_away(session: Session, *, actor: Actor, announcement_id: UUID, version: int) -> None:
    """Show an announcement to the actor no more, until it changes. It is nobody's business that they did.

    :raises NotFound: if there is none
    """
    require(actor, "notice.keep")
    row = session.get(Announcement, announcement_id)
    if row is None or actor.person_id is None:
        raise NotFound("announcement", announcement_id)
    session.execute(
        delete(AnnouncementSeen).where(
            AnnouncementSeen.person_id == actor.person_id, AnnouncementSeen.announcement_id == row.id
        )
    )
    session.add(
        AnnouncementSeen(person_id=actor.person_id, announcement_id=row.id, version=min(version, row.version))
    )
    session.flush()


def _place(session: Session, facility: str, network: str) -> tuple[int | None, int | None]:
    if facility and network:
        raise Invalid({"network": "duplicate"})
    if network:
        return None, networks.by_code(session, code=network).id
    if not facility:
        return None, None
    place = session.scalar(select(Facility.id).where(Facility.code == facility))
    if place is None:
        raise NotFound("facility", facility)
    return place, None


def _subject(session: Session, facility_id: int | None, network_id: int | None) -> Subject:
    if facility_id is not None:
        members = networks.of_facilities(session, [facility_id])[facility_id]
        return Subject(facility_id=facility_id, network_ids=members)
    return Subject(network_ids=frozenset({network_id} if network_id is not None else ()))


def _check(draft: Draft, *, everywhere: bool, now: datetime, before: Announcement | None = None) -> None:
    for name in ("text_zh", "text_en"):
        clean_line(name, getattr(draft, name), longest=LONGEST)
    if not draft.text_zh and not draft.text_en:
        raise Invalid({"text_zh": "required"})
    if everywhere and draft.shown is Shown.PLACE:
        raise Invalid({"shown": "unknown"})
    if draft.ends_at is None:
        return
    if draft.ends_at <= draft.begins_at:
        raise Invalid({"ends_at": "inverted"})
    if draft.ends_at <= now and (before is None or before.ends_at != draft.ends_at):
        raise Invalid({"ends_at": "past"})


def _columns(draft: Draft) -> dict[str, object]:
    return {
        "text_zh": draft.text_zh.strip(),
        "text_en": draft.text_en.strip(),
        "level": draft.level,
        "shown": draft.shown,
        "audience": draft.audience,
        "begins_at": draft.begins_at,
        "ends_at": draft.ends_at,
    }


def _record(session: Session, actor: Actor, kind: str, row: Announcement, now: datetime) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=str(row.id),
        network_id=row.network_id,
        text_zh=row.text_zh,
        text_en=row.text_en,
        level=row.level.value,
        shown=row.shown.value,
        audience=row.audience.value,
    )
