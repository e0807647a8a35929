"""Announcements: who reads which, and when."""

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking.domain.access import Actor

LONGEST = 500
"""Characters of an announcement in one language; it is a banner, no letter."""


class Level(enum.StrEnum):
    """How an announcement looks."""

    INFO = "info"
    WARNING = "warning"


class Shown(enum.StrEnum):
    """On which pages it stands."""

    EVERYWHERE = "everywhere"
    PLACE = "place"
    """Pages of the facility, or of the network and its facilities, and of their instruments."""
    DESK = "desk"


class Audience(enum.StrEnum):
    """Who reads it."""

    EVERYONE = "everyone"
    SIGNED_IN = "signed_in"
    STAFF = "staff"
    """Who works at the facility, at one of the network's, or at any."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement as pages need it; `places` are the ids of the facilities that it is about, None for all."""

    id: UUID
    version: int
    level: Level
    shown: Shown
    audience: Audience
    text_zh: str
    text_en: str
    begins_at: datetime
    ends_at: datetime | None
    network_id: int | None
    places: frozenset[int] | None

    def live(self, now: datetime) -> bool:
        """Tell whether it stands at this moment."""
        return self.begins_at <= now and (self.ends_at is None or now < self.ends_at)

    def read_by(self, actor: Actor) -> bool:
        """Tell whether the actor is among those whom it is for."""
        if self.audience is Audience.EVERYONE or actor.administrator:
            return True
        if self.audience is Audience.SIGNED_IN:
            return actor.signed_in
        if self.network_id is not None and self.network_id in actor.officer_of:
            return True
        works = actor.operates | actor.manages
        return bool(works if self.places is None else works & self.places)
