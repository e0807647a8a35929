"""Accounts on both engines: coming in, passwords, mailed links, roles."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from booking.domain import one_time, passwords
from booking.domain.access import SYSTEM, VISITOR, Forbidden, NotFound, Role, Scope
from booking.domain.rules import Invalid, Refused
from booking.services import accounts, sign_in, tokens
from booking.services.accounts import Purpose
from models import ApiToken, Event, Membership, MembershipRequest, OneTimeLink, Person, PersonState, SignIn
from tests import cast
from tests.factories import make_facility, make_network

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
KEY = "the key of these tests"
HASH = accounts.PasswordHash("not looked at")


def sign_up(session, email="dan@example.org", name="Dan", password_hash=HASH, **more):
    accounts.sign_up(session, email=email, name=name, password_hash=password_hash, key=KEY, now=NOW, **more)
    session.flush()


def newest_link(session) -> tuple[UUID, str]:
    """What the newest mail would hold."""
    found = session.scalars(
        select(Event).where(Event.data["link_id"].is_not(None)).order_by(Event.id.desc())
    ).first()
    link_id = UUID(found.data["link_id"])
    return link_id, one_time.secret(KEY, link_id)


def kinds(session) -> list[str]:
    return list(session.scalars(select(Event.kind).order_by(Event.id)))


@pytest.fixture
def root(session):
    return cast.actor_of(session, cast.root(session))


# --- creating -------------------------------------------------------------------------------------


def test_an_account_keeps_its_address_in_lower_case_and_its_password_hashed(session):
    person = accounts.create(
        session, email=" Ada@Example.ORG ", name=" Ada ", password="paper kite over Dongguan", now=NOW
    )
    assert (person.email, person.name) == ("ada@example.org", "Ada")
    assert person.password_hash.startswith("$argon2id$")
    assert accounts.matches(person.password_hash, "paper kite over Dongguan")
    assert not accounts.matches(person.password_hash, "paper kite over dongguan")


def test_an_address_belongs_to_one_account(session):
    cast.ada(session)
    with pytest.raises(Invalid) as error:
        accounts.create(session, email="ADA@example.org", name="Other", now=NOW)
    assert error.value.errors == {"email": "taken"}


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@example.org\nBcc: cleo@example.org",
        "ada@exa mple.org",
        "ada,cleo@example.org",
        "<ada@example.org>",
        "ada@example.org\x00",
        "a" * 250 + "@example.org",
        "ada@-@example.org",
    ],
)
def test_what_is_no_address_is_refused(email):
    with pytest.raises(Invalid):
        accounts.clean_email(email)


@pytest.mark.parametrize("name", ["", "   ", "x" * 151, "A\r\nB", "A\x00", "A\u2028B", "\ud800"])
def test_a_name_is_one_line(session, name):
    with pytest.raises(Invalid) as error:
        accounts.create(session, email="ada@example.org", name=name, now=NOW)
    assert set(error.value.errors) == {"name"}


# --- passwords ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "short_password"),
        ("x" * 257, "too_long_text"),
        ("password", "common"),
        ("Passw0rd!", "common"),
        ("P@ssword2026", "common"),
        ("12345678", "common"),
        ("aaaaaaaaaa", "common"),
        ("abababababab", "common"),
        ("qwertyuiop", "common"),
        ("1qaz2wsx", "common"),
        ("20010131", "common"),
        ("iloveyou520", "common"),
        ("ada-ada-ada", "common"),
        ("Ada12345", "common"),
        ("woaini1314", "common"),
    ],
)
def test_passwords_that_everybody_tries_are_refused(password, code):
    with pytest.raises(Invalid) as error:
        accounts.hash_password(password, email="ada@example.org", name="Ada")
    assert error.value.errors == {"password": code}


@pytest.mark.parametrize(
    "password",
    [
        "paper kite over Dongguan",
        "yiqi-demo",
        "  leading and trailing  ",
        "密码要长一些才好用",
        "🔑🔑🧪🧪🧫🧫🧬🧬",
        "x7!" * 42 + "zz",
        "Tr0ub4dor&3",
    ],
)
def test_other_passwords_are_taken_as_they_are(password):
    assert accounts.matches(accounts.hash_password(password), password)
    assert not accounts.matches(accounts.hash_password(password), password.strip() + ".")


def test_without_a_hash_nothing_matches_and_the_work_is_the_same(monkeypatch):
    asked = []
    real = accounts._hasher.verify

    class Watching:
        hash = staticmethod(accounts._hasher.hash)

        @staticmethod
        def verify(known, given):
            asked.append(known)
            return real(known, given)

    monkeypatch.setattr(accounts, "_hasher", Watching)
    accounts._nobodys.cache_clear()
    assert not accounts.matches(None, "paper kite over Dongguan")
    assert len(asked) == 1
    parameters = asked[0].split("$")[3]
    assert parameters == accounts.hash_password("paper kite over Dongguan").split("$")[3]


def test_a_password_too_long_to_be_anybodys_is_not_hashed():
    known = accounts.hash_password("paper kite over Dongguan")
    assert not accounts.matches(known, "x" * 1_000_000)


def test_hostile_passwords_are_judged_quickly():
    for password in ("1" * 50_000, "a1" * 25_000, "!" * 50_000 + "a"):
        assert passwords.fault(password) == "too_long_text"
        assert passwords.is_common(password) in {True, False}


# --- signing up -----------------------------------------------------------------------------------


def test_sign_up_makes_an_account_that_waits_for_its_confirmation(session):
    sign_up(session)
    dan = accounts.by_email(session, email="dan@example.org")
    assert dan.email_confirmed_at is None
    assert kinds(session) == ["person.signed_up"]
    link_id, secret = newest_link(session)
    accounts.confirm(session, link_id=link_id, secret=secret, now=NOW)
    assert dan.email_confirmed_at == NOW


def test_the_secret_of_a_link_is_nowhere_in_the_database(session):
    sign_up(session)
    link_id, secret = newest_link(session)
    link = session.get(OneTimeLink, link_id)
    event = session.scalars(select(Event)).one()
    assert link.secret_hash == one_time.hashed(secret)
    assert secret not in f"{vars(link)} {event.data} {event.subject}"


def test_another_key_makes_another_secret():
    link_id = uuid4()
    assert one_time.secret("one", link_id) != one_time.secret("two", link_id)
    assert one_time.secret("one", link_id) != one_time.secret("one", uuid4())
    assert len(one_time.secret("one", link_id)) == 43


def test_sign_up_with_a_known_address_changes_nothing_and_helps_its_owner(session):
    ada = cast.ada(session)
    before = (ada.name, ada.password_hash)
    sign_up(session, email="ada@example.org", name="Somebody else", organisation="")
    session.refresh(ada)
    assert (ada.name, ada.password_hash) == before
    assert kinds(session) == ["person.password_reset_asked"]
    assert session.scalar(select(func.count()).select_from(Person)) == 1


def test_a_second_sign_up_before_the_confirmation_takes_the_newest_words_and_link(session):
    cast.university(session)
    sign_up(session, name="First", organisation="UNI")
    older = newest_link(session)
    sign_up(session, name="Second", password_hash=accounts.PasswordHash("newer"))
    dan = accounts.by_email(session, email="dan@example.org")
    assert (dan.name, dan.password_hash) == ("Second", "newer")
    assert session.scalar(select(func.count()).select_from(MembershipRequest)) == 0
    with pytest.raises(NotFound):
        accounts.confirm(session, link_id=older[0], secret=older[1], now=NOW)


def test_a_second_sign_up_asks_the_newest_organisation(session):
    cast.university(session)
    company = cast.company(session)
    sign_up(session, organisation="UNI")
    sign_up(session, organisation="CO")
    assert session.scalars(select(MembershipRequest.organisation_id)).all() == [company.id]


def test_sign_up_with_an_unknown_organisation_is_refused(session):
    with pytest.raises(Invalid) as error:
        sign_up(session, organisation="NONE")
    assert error.value.errors == {"organisation": "unknown"}


# --- who belongs to an organisation ---------------------------------------------------------------


def newcomer(session, organisation="UNI") -> Person:
    """Dan, who named an organisation and has confirmed the address."""
    cast.university(session)
    sign_up(session, organisation=organisation)
    link_id, secret = newest_link(session)
    accounts.confirm(session, link_id=link_id, secret=secret, now=NOW)
    session.flush()
    return accounts.by_email(session, email="dan@example.org")


def actor_by_sign_in(session, person):
    """What the person may do as the page and the programming interface find it."""
    secret = sign_in.start(
        session,
        person_id=person.id,
        agent="",
        address="",
        lifetime=timedelta(days=1),
        now=NOW,
    )
    return sign_in.by_secret(session, secret=secret, idle=timedelta(hours=1), now=NOW).actor


def test_naming_an_organisation_is_a_request_and_gives_no_right(session):
    dan = newcomer(session)
    assert session.scalars(select(Membership).filter_by(person_id=dan.id)).all() == []
    who = actor_by_sign_in(session, dan)
    assert (who.organisations, who.leads) == (frozenset(), frozenset())
    assert accounts.asked_organisation(session, actor=who).code == "UNI"
    assert kinds(session)[:2] == ["person.membership_asked", "person.signed_up"]


@pytest.mark.parametrize("name", ["ada", "root"])
def test_a_leader_or_the_administrator_makes_who_asked_a_member(session, name):
    dan = newcomer(session)
    actor = cast.actor_of(session, getattr(cast, name)(session))
    (asking,) = accounts.membership_requests(session, actor=actor)
    assert (asking.person.id, asking.organisation.code, asking.asked_at) == (dan.id, "UNI", NOW)
    assert accounts.membership_requests_waiting(session, actor=actor) == 1
    accounts.grant_membership(session, actor=actor, person_id=dan.id, now=NOW)
    who = actor_by_sign_in(session, dan)
    assert who.organisations == {cast.university(session).id}
    assert who.leads == frozenset()
    assert accounts.asked_organisation(session, actor=who) is None
    assert accounts.membership_requests(session, actor=actor) == []
    event = session.scalars(select(Event).where(Event.kind == "person.membership_granted")).one()
    assert (event.actor_id, event.subject, event.data) == (
        actor.person_id,
        f"person:{dan.id}",
        {"place": "UNI", "person_id": str(dan.id)},
    )
    with pytest.raises(NotFound):
        accounts.grant_membership(session, actor=actor, person_id=dan.id, now=NOW)


def test_who_belongs_nowhere_may_ask_later_and_asks_one_at_a_time(session):
    dan = newcomer(session, organisation="")
    who = actor_by_sign_in(session, dan)
    firm, university = cast.company(session), cast.university(session)
    for place in (firm, university, university):
        accounts.ask_membership(session, actor=who, organisation=place.code, now=NOW)
    assert accounts.asked_organisation(session, actor=who) is university
    assert kinds(session).count("person.asked_to_join") == 2  # asked twice is asked once
    ada = cast.actor_of(session, cast.ada(session))
    accounts.grant_membership(session, actor=ada, person_id=dan.id, now=NOW)
    member = actor_by_sign_in(session, dan)
    for code, wrong in ((university.code, "taken"), ("NONE", "unknown"), ("", "required")):
        with pytest.raises(Invalid) as caught:
            accounts.ask_membership(session, actor=member, organisation=code, now=NOW)
        assert caught.value.errors == {"organisation": wrong}


def test_a_refused_request_is_gone_and_the_account_stays(session):
    dan = newcomer(session)
    ada = cast.actor_of(session, cast.ada(session))
    accounts.refuse_membership(session, actor=ada, person_id=dan.id, now=NOW)
    session.flush()
    assert session.scalars(select(MembershipRequest)).all() == []
    assert session.scalars(select(Membership).filter_by(person_id=dan.id)).all() == []
    assert kinds(session)[-1] == "person.membership_refused"
    assert dan.state is PersonState.ACTIVE
    with pytest.raises(NotFound):
        accounts.grant_membership(session, actor=ada, person_id=dan.id, now=NOW)


def test_nobody_answers_for_another_organisation(session):
    dan = newcomer(session)
    cleo = cast.cleo(session)
    session.add(Membership(person_id=cleo.id, role=Role.LEADER, organisation_id=cast.company(session).id))
    leader = cast.actor_of(session, cleo)
    assert accounts.membership_requests(session, actor=leader) == []
    assert accounts.membership_requests_waiting(session, actor=leader) == 0
    for answer in (accounts.grant_membership, accounts.refuse_membership):
        with pytest.raises(NotFound):
            answer(session, actor=leader, person_id=dan.id, now=NOW)
    assert session.get(MembershipRequest, dan.id) is not None


def test_only_leaders_and_the_administrator_answer_requests(session):
    dan = newcomer(session)
    facility = make_facility(session)
    people = [dan, cast.ben(session), cast.cleo(session), cast.tam(session, facility)]
    people.append(cast.nora(session, make_network(session, facility)))
    by_token = cast.actor_of(session, cast.ada(session), scopes=Scope)
    before = kinds(session)
    for actor in [VISITOR, by_token, *(cast.actor_of(session, person) for person in people)]:
        for deed in (
            lambda who: accounts.membership_requests(session, actor=who),
            lambda who: accounts.membership_requests_waiting(session, actor=who),
            lambda who: accounts.grant_membership(session, actor=who, person_id=dan.id, now=NOW),
            lambda who: accounts.refuse_membership(session, actor=who, person_id=dan.id, now=NOW),
        ):
            with pytest.raises(Forbidden):
                deed(actor)
    assert kinds(session) == before
    assert cast.actor_of(session, dan).organisations == frozenset()


def test_nobody_is_approved_before_the_address_is_confirmed_nor_when_disabled(session, root):
    cast.university(session)
    sign_up(session, organisation="UNI")
    dan = accounts.by_email(session, email="dan@example.org")
    assert accounts.membership_requests(session, actor=root) == []
    with pytest.raises(NotFound):
        accounts.grant_membership(session, actor=root, person_id=dan.id, now=NOW)
    dan.email_confirmed_at = NOW
    assert accounts.membership_requests_waiting(session, actor=root) == 1
    accounts.disable(session, actor=root, person_id=dan.id, now=NOW)
    assert accounts.membership_requests_waiting(session, actor=root) == 0


def test_a_role_that_the_administrator_gives_answers_the_request(session, root):
    dan = newcomer(session)
    accounts.grant_at(session, actor=root, person_id=dan.id, role="leader", place="UNI", now=NOW)
    assert accounts.membership_requests(session, actor=root) == []
    assert session.scalars(select(Membership.role).filter_by(person_id=dan.id)).all() == [Role.LEADER]


def test_who_signed_up_is_no_candidate_for_more_than_a_confirmation(session):
    sign_up(session)
    assert not accounts.candidate(session, email="dan@example.org").confirmed


# --- links ----------------------------------------------------------------------------------------


def test_a_link_works_once_not_for_long_and_for_its_purpose_only(session):
    sign_up(session)
    link_id, secret = newest_link(session)
    for wrong in (
        {"link_id": uuid4()},
        {"secret": secret[:-1]},
        {"secret": ""},
        {"secret": "\ud800"},
        {"now": NOW + accounts.LIVES[Purpose.CONFIRM_EMAIL]},
    ):
        with pytest.raises(NotFound):
            accounts.confirm(session, **{"link_id": link_id, "secret": secret, "now": NOW} | wrong)
    with pytest.raises(NotFound):
        accounts.reset_password(session, link_id=link_id, secret=secret, password_hash=HASH, now=NOW)
    accounts.confirm(session, link_id=link_id, secret=secret, now=NOW)
    with pytest.raises(NotFound):
        accounts.confirm(session, link_id=link_id, secret=secret, now=NOW)


def test_a_reset_sets_the_password_proves_the_address_and_ends_every_session(session):
    sign_up(session)
    dan = accounts.by_email(session, email="dan@example.org")
    secret_of_session = start(session, dan)
    accounts.ask_reset(session, email="DAN@example.org", key=KEY, now=NOW)
    link_id, secret = newest_link(session)
    accounts.reset_password(
        session, link_id=link_id, secret=secret, password_hash=accounts.PasswordHash("new"), now=NOW
    )
    assert (dan.password_hash, dan.email_confirmed_at) == ("new", NOW)
    assert identity_of(session, secret_of_session) is None


def test_a_newer_reset_makes_the_older_link_useless(session):
    cast.ada(session)
    accounts.ask_reset(session, email="ada@example.org", key=KEY, now=NOW)
    link_id, secret = newest_link(session)
    accounts.ask_reset(session, email="ada@example.org", key=KEY, now=NOW)
    with pytest.raises(NotFound):
        accounts.reset_password(session, link_id=link_id, secret=secret, password_hash=HASH, now=NOW)


@pytest.mark.parametrize("email", ["nobody@example.org", "ben@example.org"])
def test_no_link_is_made_for_nobody_and_for_the_disabled(session, email):
    cast.ben(session).state = PersonState.DISABLED
    session.flush()
    accounts.ask_reset(session, email=email, key=KEY, now=NOW)
    session.flush()
    assert session.scalar(select(func.count()).select_from(OneTimeLink)) == 0
    assert kinds(session) == ["person.password_reset_unknown"]


# --- one's own account ----------------------------------------------------------------------------


def start(session, person, now=NOW) -> str:
    return sign_in.start(
        session, person_id=person.id, agent="", address="", lifetime=timedelta(days=14), now=now
    )


def identity_of(session, secret, now=NOW):
    session.flush()
    return sign_in.by_secret(session, secret=secret, idle=timedelta(hours=12), now=now)


def test_a_new_password_ends_every_session(session):
    ada = cast.ada(session)
    secrets = [start(session, ada), start(session, ada)]
    actor = cast.actor_of(session, ada)
    accounts.change_password(session, actor=actor, password_hash=accounts.PasswordHash("new"), now=NOW)
    assert [identity_of(session, secret) for secret in secrets] == [None, None]
    assert kinds(session) == ["person.password_changed"]


def test_a_profile_is_changed_and_what_changed_is_recorded(session):
    actor = cast.actor_of(session, cast.ada(session))
    person = accounts.change_profile(
        session, actor=actor, name="Ada L.", locale="en", zone="Europe/Berlin", now=NOW
    )
    session.flush()
    assert (person.name, person.locale, person.zone) == ("Ada L.", "en", "Europe/Berlin")
    assert session.scalars(select(Event)).one().data == {"fields": ["locale", "name", "zone"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"locale": "../../etc"},
        {"zone": "Mars/Olympus"},
        {"zone": "../../../etc/passwd"},
        {"zone": "/etc/localtime"},
        {"zone": "Asia/" + "x" * 100},
    ],
)
def test_a_profile_refuses_what_makes_no_sense(session, wrong):
    actor = cast.actor_of(session, cast.ada(session))
    with pytest.raises(Invalid) as error:
        accounts.change_profile(
            session, actor=actor, **{"name": "Ada", "locale": "", "zone": ""} | wrong, now=NOW
        )
    assert set(error.value.errors) == set(wrong)


def test_visitors_have_no_account(session):
    with pytest.raises(Forbidden):
        accounts.own(session, actor=VISITOR)


# --- administration -------------------------------------------------------------------------------


@pytest.fixture
def outsiders(session):
    """Everybody but the administrator."""
    facility = make_facility(session)
    people = [cast.ada(session), cast.cleo(session), cast.tam(session, facility)]
    people.append(cast.nora(session, make_network(session, facility)))
    return [VISITOR, *(cast.actor_of(session, person) for person in people)]


def test_only_an_administrator_administers(session, outsiders):
    cleo = cast.cleo(session)
    for actor in outsiders:
        for deed in (
            lambda who: accounts.people(session, actor=who),
            lambda who: accounts.some_person(session, actor=who, person_id=cleo.id),
            lambda who: accounts.grant(session, actor=who, person=cleo, role=Role.ADMINISTRATOR, now=NOW),
            lambda who: accounts.grant_at(
                session, actor=who, person_id=cleo.id, role="administrator", place="", now=NOW
            ),
            lambda who: accounts.take_role(session, actor=who, person_id=cleo.id, membership_id=1, now=NOW),
            lambda who: accounts.disable(session, actor=who, person_id=cleo.id, now=NOW),
            lambda who: accounts.enable(session, actor=who, person_id=cleo.id, now=NOW),
            lambda who: accounts.end_sessions(session, actor=who, person_id=cleo.id, now=NOW),
        ):
            with pytest.raises(Forbidden):
                deed(actor)
    assert kinds(session) == []


def test_a_role_is_given_once(session, root):
    facility = make_facility(session, code="LAB")
    tam = cast.tam(session)
    first = accounts.grant(session, actor=root, person=tam, role=Role.MANAGER, facility=facility, now=NOW)
    again = accounts.grant_at(session, actor=SYSTEM, person_id=tam.id, role="manager", place="LAB", now=NOW)
    assert first.id == again.id
    assert cast.actor_of(session, tam).manages == {facility.id}
    assert kinds(session) == ["person.role_given"]


@pytest.mark.parametrize(
    ("role", "place", "errors"),
    [
        ("king", "", {"role": "unknown"}),
        ("manager", "", {"place": "required"}),
        ("manager", "UNI", {"place": "unknown"}),
        ("member", "LAB", {"place": "unknown"}),
        ("officer", "LAB", {"place": "unknown"}),
    ],
)
def test_a_role_belongs_to_its_sort_of_place(session, root, role, place, errors):
    make_facility(session, code="LAB")
    cast.university(session)
    ben = cast.ben(session)
    with pytest.raises(Invalid) as error:
        accounts.grant_at(session, actor=root, person_id=ben.id, role=role, place=place, now=NOW)
    assert error.value.errors == errors


def test_a_place_of_the_wrong_sort_is_refused(session, root):
    with pytest.raises(Invalid):
        accounts.grant(
            session,
            actor=root,
            person=cast.ben(session),
            role=Role.ADMINISTRATOR,
            facility=make_facility(session),
            now=NOW,
        )


def test_a_role_is_taken_away(session, root):
    facility = make_facility(session)
    tam = cast.tam(session, facility)
    held = session.scalars(select(Membership).filter_by(person_id=tam.id)).one()
    accounts.take_role(session, actor=root, person_id=tam.id, membership_id=held.id, now=NOW)
    assert cast.actor_of(session, tam).manages == frozenset()
    with pytest.raises(NotFound):
        accounts.take_role(session, actor=root, person_id=tam.id, membership_id=held.id, now=NOW)


def test_somebody_elses_role_is_not_taken_by_its_number(session, root):
    held = session.scalars(select(Membership).filter_by(person_id=cast.ada(session).id)).one()
    with pytest.raises(NotFound):
        accounts.take_role(
            session, actor=root, person_id=cast.ben(session).id, membership_id=held.id, now=NOW
        )


def test_an_administrator_cannot_lock_himself_out(session, root):
    own = session.scalars(select(Membership).filter_by(person_id=root.person_id)).one()
    with pytest.raises(Refused):
        accounts.take_role(session, actor=root, person_id=root.person_id, membership_id=own.id, now=NOW)
    with pytest.raises(Refused):
        accounts.disable(session, actor=root, person_id=root.person_id, now=NOW)


def test_the_disabled_are_out_at_once_and_their_tokens_for_good(session, root):
    cleo = cast.cleo(session)
    secret = start(session, cleo)
    token = cast.token(session, cleo)
    accounts.disable(session, actor=root, person_id=cleo.id, now=NOW)
    assert identity_of(session, secret) is None
    assert tokens.by_secret(session, secret=token, now=NOW) is None
    assert accounts.candidate(session, email="cleo@example.org") is None
    accounts.enable(session, actor=root, person_id=cleo.id, now=NOW)
    assert accounts.candidate(session, email="cleo@example.org") is not None
    assert tokens.by_secret(session, secret=token, now=NOW) is None
    assert kinds(session) == ["person.disabled", "person.enabled"]


def test_people_are_found_by_words_and_patterns_stand_for_themselves(session, root):
    for person in (cast.ada, cast.ben, cast.cleo):
        person(session)
    names = [person.name for person in accounts.people(session, actor=root)[0]]
    assert names == ["Ada", "Ben", "Cleo", "Root"]
    found, total = accounts.people(session, actor=root, words="ADA example")
    assert ([person.name for person in found], total) == (["Ada"], 1)
    for pattern in ("%", "_", ".*", "a' or 1", "\\"):
        assert accounts.people(session, actor=root, words=pattern) == ([], 0)
    assert [person.name for person in accounts.people(session, actor=root, page=2, page_size=3)[0]] == [
        "Root"
    ]


def test_places_of_roles_are_found_together(session, root):
    facility = make_facility(session)
    tam, ada = cast.tam(session, facility), cast.ada(session)
    held = list(session.scalars(select(Membership)))
    places = accounts.places_of(session, memberships=held)
    assert {(row.person_id, places[row.id].code if places[row.id] else None) for row in held} == {
        (tam.id, facility.code),
        (ada.id, "UNI"),
        (root.person_id, None),
    }


def test_a_checked_password_must_still_be_the_persons(session):
    ada = cast.ada(session)
    found = accounts.candidate(session, email="ada@example.org")
    assert accounts.still(session, found=found)
    ada.password_hash = "changed meanwhile"
    session.flush()
    assert not accounts.still(session, found=found)


def test_nothing_of_an_account_is_left_behind_in_the_open(session):
    """Hashes only: of sessions, tokens and links alike."""
    ada = cast.ada(session)
    secret, token = start(session, ada), cast.token(session, ada)
    kept = [
        session.scalars(select(SignIn.secret_hash)).one(),
        session.scalars(select(ApiToken.secret_hash)).one(),
    ]
    assert all(len(hashed) == 32 for hashed in kept)
    assert secret.encode() not in kept
    assert token.encode() not in kept
