"""Networks: which there are, who is in them, and what they look like."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from booking.domain import colours, papers
from booking.domain.access import Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.rules import Invalid
from booking.domain.text import clean_line
from booking.services import events, occupation
from models import Facility, Instrument, Network, NetworkFacility, NetworkLogo

ACTION = "network.keep"
LONGEST = {
    "name_zh": 300,
    "name_en": 300,
    "short_zh": 60,
    "short_en": 60,
    "footer_zh": 500,
    "footer_en": 500,
    "contact": 300,
}
LARGEST_LOGO = 500_000
"""Bytes; it is on every page."""

_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII
)
_WEBP = "image/webp"


@dataclass(frozen=True, slots=True)
class Brand:
    """What pages of a network carry; `logo` is the digest of its picture, empty without one."""

    code: str
    name_zh: str
    name_en: str
    short_zh: str
    short_en: str
    host: str | None
    accent: str
    footer_zh: str
    footer_en: str
    contact: str
    logo: str


def by_code(session: Session, *, code: str) -> Network:
    """Give a network.

    :raises NotFound: if there is none of this code
    """
    network = session.scalars(select(Network).where(Network.code == code)).one_or_none()
    if network is None:
        raise NotFound("network", code)
    return network


def listing(session: Session) -> list[Network]:
    """Give all networks by code."""
    return list(session.scalars(select(Network).order_by(Network.code)))


def of_facilities(session: Session, facility_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Give the ids of the networks that each facility is in."""
    wanted = set(facility_ids)
    found: dict[int, set[int]] = {place: set() for place in wanted}
    query = select(NetworkFacility.facility_id, NetworkFacility.network_id)
    for place, network in session.execute(query.where(NetworkFacility.facility_id.in_(wanted))):
        found[place].add(network)
    return {place: frozenset(networks) for place, networks in found.items()}


# --- what they look like --------------------------------------------------------------------------


def brands(session: Session) -> list[Brand]:
    """Give what each network looks like, by code. One statement."""
    query = select(Network, NetworkLogo.digest).outerjoin(NetworkLogo).order_by(Network.code)
    return [_brand(row, digest or "") for row, digest in session.execute(query)]


def brand(session: Session, *, code: str) -> Brand:
    """Give what a network looks like.

    :raises NotFound: if there is none of this code
    """
    row = by_code(session, code=code)
    digest = session.scalar(select(NetworkLogo.digest).where(NetworkLogo.network_id == row.id))
    return _brand(row, digest or "")


def _brand(row: Network, logo: str) -> Brand:
    return Brand(
        code=row.code,
        host=row.host,
        accent=row.accent,
        logo=logo,
        **{name: getattr(row, name) for name in LONGEST},
    )


def logo(session: Session, *, code: str) -> tuple[str, str, bytes]:
    """Give the picture of a network: its type, its digest and its content.

    :raises NotFound: if it has none
    """
    query = select(NetworkLogo.media_type, NetworkLogo.digest, NetworkLogo.content)
    found = session.execute(query.join(Network).where(Network.code == code)).one_or_none()
    if found is None:
        raise NotFound("logo", code)
    return found.media_type, found.digest, found.content


def keeps(actor: Actor, network: Network) -> bool:
    """Tell whether the actor may change how a network looks and who is in it."""
    return may(actor, ACTION, Subject(network_ids=frozenset({network.id})))


def kept(session: Session, *, actor: Actor, code: str) -> Network:
    """Give a network that the actor keeps.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor is neither its officer nor an administrator
    """
    row = by_code(session, code=code)
    require(actor, ACTION, Subject(network_ids=frozenset({row.id})))
    return row


def dress(session: Session, *, actor: Actor, code: str, wanted: dict[str, str], now: datetime) -> Network:
    """Change names, footer, contact and accent of a network; its host is an administrator's to say.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor does not keep it, or would change the host without administering
    :raises Invalid: for the fields that will not do
    """
    row = kept(session, actor=actor, code=code)
    clean = {name: _clean(name, text) for name, text in wanted.items()}
    if not clean.get("name_zh", row.name_zh) and not clean.get("name_en", row.name_en):
        raise Invalid({"name_zh": "required"})
    changes = {
        name: [getattr(row, name) or "", text]
        for name, text in clean.items()
        if (getattr(row, name) or "") != text
    }
    if "host" in changes:
        _check_host(session, actor, row, clean["host"])
    for name in changes:
        setattr(row, name, (clean[name] or None) if name == "host" else clean[name])
    if changes:
        session.flush()
        _changed(session, actor, row, changes, now)
    return row


def _clean(name: str, text: str) -> str:
    if name == "accent":
        found = text.strip().lower()
        if found and not colours.is_colour(found):
            raise Invalid({"accent": "not_a_colour"})
        return found
    if name == "host":
        found = text.strip().lower().rstrip(".")
        if found and not _HOST.fullmatch(found):
            raise Invalid({"host": "malformed"})
        return found
    return clean_line(name, text, longest=LONGEST[name])


def _check_host(session: Session, actor: Actor, row: Network, host: str) -> None:
    if not actor.administrator:
        raise Forbidden(ACTION)
    taken = select(Network.id).where(Network.host == host, Network.id != row.id)
    if host and session.scalar(taken) is not None:
        raise Invalid({"host": "taken"})


def set_logo(session: Session, *, actor: Actor, code: str, content: bytes, now: datetime) -> None:
    """Give a network a picture.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor does not keep it
    :raises Invalid: if the file is too large, or neither PNG nor JPEG nor WebP by its content
    """
    row = kept(session, actor=actor, code=code)
    media = picture_type(content)
    digest = hashlib.sha256(content).hexdigest()
    before = session.get(NetworkLogo, row.id)
    if before is not None and before.digest == digest:
        return
    if before is not None:
        session.delete(before)
        session.flush()
    session.add(NetworkLogo(network_id=row.id, media_type=media, digest=digest, content=content))
    session.flush()
    _changed(session, actor, row, {"logo": [before.digest if before else "", digest]}, now)


def drop_logo(session: Session, *, actor: Actor, code: str, now: datetime) -> None:
    """Take the picture of a network away; without one nothing changes.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor does not keep it
    """
    row = kept(session, actor=actor, code=code)
    before = session.get(NetworkLogo, row.id)
    if before is not None:
        session.delete(before)
        session.flush()
        _changed(session, actor, row, {"logo": [before.digest, ""]}, now)


def picture_type(content: bytes) -> str:
    """Tell what sort of picture a file is by its first bytes; drawings that hold programs are none.

    :raises Invalid: if it is empty, too large or none
    """
    if not content:
        raise Invalid({"file": "required"})
    if len(content) > LARGEST_LOGO:
        raise Invalid({"file": "too_large_picture"})
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return papers.PNG
    if content.startswith(b"\xff\xd8\xff"):
        return papers.JPEG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _WEBP
    raise Invalid({"file": "unknown_picture"})


# --- who is in them -------------------------------------------------------------------------------


def may_add(actor: Actor, network: Network, facility: Facility) -> bool:
    """Tell whether the actor may take a facility in: its manager's word is needed too, or an administrator's.

    For officers have rights over the facilities of their network, and nobody is to help themselves to them.
    """
    return keeps(actor, network) and (actor.administrator or facility.id in actor.manages)


def add_facility(session: Session, *, actor: Actor, code: str, facility: str, now: datetime) -> None:
    """Take a facility into a network; once it is in, nothing changes.

    :raises NotFound: if there is no such network
    :raises Forbidden: if the actor does not keep the network, or has no word to give for the facility
    :raises Invalid: if there is no such facility
    """
    row = kept(session, actor=actor, code=code)
    place = _facility(session, facility)
    if session.get(NetworkFacility, (row.id, place.id)) is not None:
        return
    if not may_add(actor, row, place):
        raise Forbidden(ACTION)
    join(session, actor=actor, row=row, place=place, now=now)


def join(session: Session, *, actor: Actor, row: Network, place: Facility, now: datetime) -> None:
    """Put a facility into a network, once both sides have given their word."""
    session.add(NetworkFacility(network_id=row.id, facility_id=place.id))
    _moved(session, actor, row, place, "network.joined", now)


def remove_facility(session: Session, *, actor: Actor, code: str, facility: str, now: datetime) -> None:
    """Let a facility leave a network; once it is out, nothing changes.

    :raises NotFound: if there is no such network
    :raises Forbidden: if the actor does not keep the network
    :raises Invalid: if there is no such facility
    """
    row = kept(session, actor=actor, code=code)
    place = _facility(session, facility)
    gone = delete(NetworkFacility).where(
        NetworkFacility.network_id == row.id, NetworkFacility.facility_id == place.id
    )
    if session.execute(gone.returning(NetworkFacility.facility_id)).first() is not None:
        _moved(session, actor, row, place, "network.left", now)


def _facility(session: Session, code: str) -> Facility:
    place = session.scalar(select(Facility).where(Facility.code == code)) if code else None
    if place is None:
        raise Invalid({"facility": "unknown" if code else "required"})
    return place


def _moved(session: Session, actor: Actor, row: Network, place: Facility, kind: str, now: datetime) -> None:
    """Note who came or went; the network's rules are no longer for the same instruments."""
    session.flush()
    occupation.advance(session, Instrument.facility_id == place.id)
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=place.id,
        subject=row.code,
        facility=place.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
    )


def _changed(
    session: Session, actor: Actor, row: Network, changes: dict[str, list[str]], now: datetime
) -> None:
    events.record(session, actor=actor, kind="network.changed", now=now, subject=row.code, changes=changes)
