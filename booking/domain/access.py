"""Who may do what: the whole permission table."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID


class Role(enum.StrEnum):
    """What a person is in an organisation, a facility, a network or the whole system."""

    MEMBER = "member"
    LEADER = "leader"
    OPERATOR = "operator"
    MANAGER = "manager"
    OFFICER = "officer"
    ADMINISTRATOR = "administrator"


class Scope(enum.StrEnum):
    """What an API token was given."""

    READ = "read"
    BOOK = "book"
    MANAGE = "manage"


class Relation(enum.StrEnum):
    """How somebody stands to a subject."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    OWNER = "owner"
    AGENT = "agent"
    LEADER = "leader"
    OPERATOR = "operator"
    MANAGER = "manager"
    OFFICER = "officer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks, with all that decides what they may do.

    `person_id` is None for a visitor; `scopes` is None for a person at the page, who has them all. A newcomer has
    neither been shown round nor declined it.
    """

    person_id: UUID | None = None
    name: str = ""
    email: str = ""
    locale: str | None = None
    administrator: bool = False
    organisations: frozenset[int] = frozenset()
    leads: frozenset[int] = frozenset()
    operates: frozenset[int] = frozenset()
    manages: frozenset[int] = frozenset()
    officer_of: frozenset[int] = frozenset()
    scopes: frozenset[Scope] | None = None
    newcomer: bool = False

    @property
    def signed_in(self) -> bool:
        """Tell a person from a visitor."""
        return self.person_id is not None


VISITOR = Actor()
SYSTEM = Actor(name="Yiqi", administrator=True)
"""The system itself: jobs and the console."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What decides about a thing: whose it is, where, and who acted for its owner."""

    owner_id: UUID | None = None
    organisation_id: int | None = None
    facility_id: int | None = None
    network_ids: frozenset[int] = field(default_factory=frozenset)
    agent_id: UUID | None = None


NOTHING = Subject()


@dataclass(frozen=True, slots=True)
class Rule:
    """Any of these relations is enough; a token needs the scope besides, None: no token at all."""

    relations: frozenset[Relation]
    scope: Scope | None


def _rule(scope: Scope | None, *relations: Relation) -> Rule:
    return Rule(frozenset({*relations, Relation.ADMINISTRATOR}), scope)


_R = Relation
_STAFF = (_R.OPERATOR, _R.MANAGER)

RULES: dict[str, Rule] = {
    "catalogue.read": _rule(Scope.READ, _R.ANYONE),
    "availability.read": _rule(Scope.READ, _R.ANYONE),
    "instrument.see_unpublished": _rule(Scope.READ, *_STAFF, _R.OFFICER),
    "instrument.edit": _rule(Scope.MANAGE, _R.MANAGER),
    "facility.make": _rule(Scope.MANAGE, _R.OFFICER),
    "facility.edit": _rule(Scope.MANAGE, _R.MANAGER),
    "booking.place": _rule(Scope.BOOK, _R.SIGNED_IN),
    "booking.place_for": _rule(Scope.BOOK, _R.LEADER, *_STAFF),
    "booking.list": _rule(Scope.READ, _R.SIGNED_IN),
    "booking.see": _rule(Scope.READ, _R.OWNER, _R.AGENT, _R.LEADER, *_STAFF),
    "booking.change": _rule(Scope.BOOK, _R.OWNER, _R.AGENT, _R.LEADER, _R.MANAGER),
    "booking.cancel": _rule(Scope.BOOK, _R.OWNER, _R.AGENT, _R.LEADER, _R.MANAGER),
    "booking.approve": _rule(Scope.MANAGE, _R.MANAGER),
    "approval.decide": _rule(Scope.MANAGE, _R.SIGNED_IN),  # the service asks whose word is wanted
    "delegation.keep": _rule(Scope.MANAGE, _R.SIGNED_IN),
    "paper.add": _rule(Scope.BOOK, _R.SIGNED_IN),  # to a booking that one may change
    "booking.check_in": _rule(Scope.BOOK, _R.OWNER, *_STAFF),
    "booking.miss": _rule(Scope.BOOK, *_STAFF),
    "booking.feedback": _rule(Scope.BOOK, _R.OWNER),
    "hold.take": _rule(Scope.BOOK, _R.SIGNED_IN),
    "waitlist.join": _rule(Scope.BOOK, _R.SIGNED_IN),
    "waitlist.list": _rule(Scope.READ, _R.SIGNED_IN),
    "waitlist.see": _rule(Scope.READ, _R.OWNER, *_STAFF),
    "waitlist.answer": _rule(Scope.BOOK, _R.OWNER),
    "waitlist.rank": _rule(Scope.MANAGE, _R.MANAGER),
    "standby.ready": _rule(Scope.BOOK, _R.OWNER, *_STAFF),
    "standby.call": _rule(Scope.BOOK, *_STAFF),
    "round.see": _rule(Scope.READ, _R.SIGNED_IN),
    "round.keep": _rule(Scope.MANAGE, _R.MANAGER),
    "booking.agree": _rule(Scope.BOOK, _R.OWNER, _R.AGENT),
    "proposal.answer": _rule(Scope.BOOK, _R.OWNER, _R.AGENT),
    "invitation.answer": _rule(Scope.BOOK, _R.OWNER),
    "wish.make": _rule(Scope.BOOK, _R.SIGNED_IN),
    "wish.see": _rule(Scope.READ, _R.OWNER, *_STAFF),
    "wish.withdraw": _rule(Scope.BOOK, _R.OWNER, _R.MANAGER),
    "rule.read": _rule(Scope.READ, _R.ANYONE),
    "rule.edit": _rule(Scope.MANAGE, _R.MANAGER, _R.OFFICER),
    "process.edit": _rule(Scope.MANAGE, _R.MANAGER),
    "rule.override": _rule(Scope.MANAGE, _R.MANAGER),
    "working_day.edit": _rule(Scope.MANAGE),
    "organisation.keep": _rule(Scope.MANAGE),
    "network.keep": _rule(Scope.MANAGE, _R.OFFICER),
    "network.answer": _rule(Scope.MANAGE, _R.MANAGER, _R.OFFICER),
    "announcement.keep": _rule(Scope.MANAGE, _R.MANAGER, _R.OFFICER),
    "closure.make": _rule(Scope.MANAGE, _R.MANAGER),
    "calendar_source.keep": _rule(Scope.MANAGE, _R.MANAGER),
    "facility.desk": _rule(Scope.READ, *_STAFF),
    "network.desk": _rule(Scope.READ, _R.OFFICER),
    "utilisation.read": _rule(Scope.READ, *_STAFF, _R.OFFICER),
    "target.keep": _rule(Scope.MANAGE, _R.MANAGER),
    "favourite.keep": _rule(Scope.BOOK, _R.SIGNED_IN),
    "fault.report": _rule(Scope.BOOK, _R.SIGNED_IN),
    "fault.see": _rule(Scope.READ, *_STAFF),
    "fault.settle": _rule(Scope.MANAGE, _R.MANAGER),
    "credit.see": _rule(Scope.READ, _R.SIGNED_IN),
    "credit.appeal": _rule(Scope.BOOK, _R.SIGNED_IN),
    "credit.keep": _rule(Scope.MANAGE, _R.MANAGER),
    "credit.keep_all": _rule(Scope.MANAGE),
    "kiosk.keep": _rule(None, _R.MANAGER),
    "calendar.make": _rule(Scope.BOOK, _R.SIGNED_IN),
    "calendar.sync": _rule(Scope.READ, _R.SIGNED_IN),
    "calendar.staff": _rule(Scope.READ, *_STAFF),
    "qualification.read": _rule(Scope.READ, _R.ANYONE),
    "qualification.own": _rule(Scope.READ, _R.SIGNED_IN),
    "qualification.ask": _rule(Scope.BOOK, _R.SIGNED_IN),
    "qualification.train": _rule(Scope.MANAGE, *_STAFF),
    "qualification.define": _rule(Scope.MANAGE, _R.MANAGER),
    "transfer.list": _rule(Scope.READ, _R.SIGNED_IN),
    "transfer.answer": _rule(Scope.BOOK, _R.SIGNED_IN),
    "booking.swap": _rule(Scope.BOOK, _R.OWNER),
    "booking.hand_over": _rule(Scope.BOOK, _R.OWNER, _R.LEADER, _R.MANAGER),
    "account.keep": _rule(None, _R.SIGNED_IN),
    "notice.read": _rule(Scope.READ, _R.SIGNED_IN),
    "notice.keep": _rule(Scope.BOOK, _R.SIGNED_IN),
    "webhook.keep": _rule(None, _R.SIGNED_IN),
    "membership.grant": _rule(None, _R.LEADER),
    "role.list": _rule(None, *_STAFF, _R.OFFICER),
    "role.give_operator": _rule(None, _R.MANAGER, _R.OFFICER),
    "role.give_manager": _rule(None, _R.OFFICER),
    "person.administer": _rule(None),
    "event.read": _rule(None),
}
"""Every action and who may take it."""


class Forbidden(Exception):
    """The actor may not do this."""

    def __init__(self, action: str, *, sign_in: bool = False) -> None:
        """Say which action, and whether signing in could help."""
        super().__init__(action)
        self.action = action
        self.sign_in = sign_in


class NotFound(Exception):
    """There is no such thing, or none that this actor may know of."""

    def __init__(self, noun: str, key: object = None) -> None:
        """Name what was looked for."""
        super().__init__(f"{noun} {key}")
        self.noun = noun
        self.key = key


def relations(actor: Actor, subject: Subject = NOTHING) -> frozenset[Relation]:
    """Give every way in which the actor stands to the subject."""
    found = {Relation.ANYONE}
    if actor.signed_in:
        found.add(Relation.SIGNED_IN)
        if actor.person_id == subject.owner_id:
            found.add(Relation.OWNER)
        if actor.person_id == subject.agent_id:
            found.add(Relation.AGENT)
    if subject.organisation_id in actor.leads:
        found.add(Relation.LEADER)
    if subject.facility_id in actor.operates:
        found.add(Relation.OPERATOR)
    if subject.facility_id in actor.manages:
        found.add(Relation.MANAGER)
    if actor.officer_of & subject.network_ids:
        found.add(Relation.OFFICER)
    if actor.administrator:
        found.add(Relation.ADMINISTRATOR)
    return frozenset(found)


def in_scope(actor: Actor, action: str) -> bool:
    """Tell whether the actor's token, if any, was given the action's scope."""
    if actor.scopes is None:
        return True
    scope = RULES[action].scope
    return scope is not None and scope in actor.scopes


def may(actor: Actor, action: str, subject: Subject = NOTHING) -> bool:
    """Tell whether the actor may take the action on the subject."""
    return in_scope(actor, action) and bool(RULES[action].relations & relations(actor, subject))


def could(actor: Actor, action: str) -> bool:
    """Tell whether there may be any subject on which the actor may take the action; guards of routes ask this."""
    wanted = RULES[action].relations
    if not in_scope(actor, action):
        return False
    held = set(relations(actor))
    if actor.signed_in:
        held |= {Relation.OWNER, Relation.AGENT}
    held |= {
        relation
        for relation, places in (
            (Relation.LEADER, actor.leads),
            (Relation.OPERATOR, actor.operates),
            (Relation.MANAGER, actor.manages),
            (Relation.OFFICER, actor.officer_of),
        )
        if places
    }
    return bool(wanted & held)


def require(actor: Actor, action: str, subject: Subject = NOTHING) -> None:
    """Let the actor pass, or refuse.

    :raises Forbidden: if the actor may not take the action on the subject
    """
    if not may(actor, action, subject):
        raise Forbidden(action, sign_in=not actor.signed_in)


def actor_from(
    memberships: Iterable[tuple[Role, int | None, int | None, int | None]], **person: object
) -> Actor:
    """Build an actor from rows of (role, organisation, facility, network)."""
    rows = list(memberships)

    def places(column: int, *roles: Role) -> frozenset[int]:
        return frozenset(int(place) for row in rows if row[0] in roles and (place := row[column]) is not None)

    return Actor(
        administrator=any(row[0] is Role.ADMINISTRATOR for row in rows),
        organisations=places(1, Role.MEMBER, Role.LEADER),
        leads=places(1, Role.LEADER),
        operates=places(2, Role.OPERATOR, Role.MANAGER),
        manages=places(2, Role.MANAGER),
        officer_of=places(3, Role.OFFICER),
        **person,  # type: ignore[arg-type]
    )
