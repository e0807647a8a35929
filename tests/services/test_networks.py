"""Networks: their look, and who is in them."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Forbidden, NotFound, Role
from booking.domain.rules import Invalid
from booking.services import networks
from models import Event, Instrument, Membership
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def place(session: Session):
    lab = make_facility(session, code="LAB")
    yard = make_facility(session, code="YARD")
    network = make_network(session, lab, code="NET", name_zh="网", name_en="Net")
    return network, lab, yard


def test_an_officer_dresses_the_network_and_nobody_else_does(session: Session, place, now):
    network, lab, _yard = place
    nora = cast.actor_of(session, cast.nora(session, network))
    wanted = {"short_en": " Net ", "accent": "#FFE066", "footer_zh": "共享"}
    networks.dress(session, actor=nora, code="NET", wanted=wanted, now=now)
    look = networks.brand(session, code="NET")
    assert (look.short_en, look.accent, look.footer_zh, look.name_en) == ("Net", "#ffe066", "共享", "Net")
    (event,) = session.scalars(select(Event).where(Event.kind == "network.changed"))
    assert event.data["changes"]["accent"] == ["", "#ffe066"]
    networks.dress(session, actor=nora, code="NET", wanted=wanted, now=now)
    assert len(session.scalars(select(Event).where(Event.kind == "network.changed")).all()) == 1
    for outsider in (cast.cleo(session), cast.tam(session, lab)):
        with pytest.raises(Forbidden):
            networks.dress(
                session, actor=cast.actor_of(session, outsider), code="NET", wanted=wanted, now=now
            )


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("accent", "red", "not_a_colour"),
        ("accent", "#12345g", "not_a_colour"),
        ("footer_en", "a\x07b", "control_characters"),
        ("short_en", "x" * 61, "too_long_text"),
    ],
)
def test_what_would_break_a_page_is_refused(session: Session, place, now, field, text, code):
    nora = cast.actor_of(session, cast.nora(session, place[0]))
    with pytest.raises(Invalid) as refused:
        networks.dress(session, actor=nora, code="NET", wanted={field: text}, now=now)
    assert refused.value.errors == {field: code}


def test_a_network_keeps_a_name(session: Session, place, now):
    root = cast.actor_of(session, cast.root(session))
    with pytest.raises(Invalid):
        networks.dress(session, actor=root, code="NET", wanted={"name_zh": "", "name_en": ""}, now=now)


def test_hosts_are_an_administrators_and_each_ones_own(session: Session, place, now):
    network, lab, _yard = place
    make_network(session, lab, code="OTHER", host="other.example.org")
    nora = cast.actor_of(session, cast.nora(session, network))
    root = cast.actor_of(session, cast.root(session))
    with pytest.raises(Forbidden):
        networks.dress(session, actor=nora, code="NET", wanted={"host": "net.example.org"}, now=now)
    networks.dress(session, actor=root, code="NET", wanted={"host": "NET.example.org."}, now=now)
    assert networks.brand(session, code="NET").host == "net.example.org"
    # An officer who leaves it as it is changes other things.
    networks.dress(
        session, actor=nora, code="NET", wanted={"host": "net.example.org", "contact": "x"}, now=now
    )
    for host, code in (("other.example.org", "taken"), ("a b", "malformed"), ("x.org/y", "malformed")):
        with pytest.raises(Invalid) as refused:
            networks.dress(session, actor=root, code="NET", wanted={"host": host}, now=now)
        assert refused.value.errors == {"host": code}


def test_a_logo_is_a_picture_by_its_content(session: Session, place, now):
    nora = cast.actor_of(session, cast.nora(session, place[0]))
    for content, code in (
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_picture"),
        (b"", "required"),
        (PNG + bytes(networks.LARGEST_LOGO), "too_large_picture"),
    ):
        with pytest.raises(Invalid) as refused:
            networks.set_logo(session, actor=nora, code="NET", content=content, now=now)
        assert refused.value.errors == {"file": code}
    networks.set_logo(session, actor=nora, code="NET", content=b"RIFF\x00\x00\x00\x00WEBPVP8 ", now=now)
    networks.set_logo(session, actor=nora, code="NET", content=PNG, now=now)
    media, digest, content = networks.logo(session, code="NET")
    assert (media, content) == ("image/png", PNG)
    assert networks.brand(session, code="NET").logo == digest
    networks.drop_logo(session, actor=nora, code="NET", now=now)
    with pytest.raises(NotFound):
        networks.logo(session, code="NET")


def test_who_comes_and_goes(session: Session, place, now):
    network, lab, yard = place
    microscope = make_instrument(session, yard)
    nora = cast.nora(session, network)
    with pytest.raises(Forbidden):  # or officers would help themselves to rights over any facility
        networks.add_facility(
            session, actor=cast.actor_of(session, nora), code="NET", facility="YARD", now=now
        )
    before = microscope.revision
    root = cast.actor_of(session, cast.root(session))
    networks.add_facility(session, actor=root, code="NET", facility="YARD", now=now)
    networks.add_facility(session, actor=root, code="NET", facility="YARD", now=now)
    officer = cast.actor_of(session, nora)
    networks.remove_facility(session, actor=officer, code="NET", facility="LAB", now=now)
    members = networks.of_facilities(session, [lab.id, yard.id])
    assert members == {lab.id: frozenset(), yard.id: frozenset({network.id})}
    kinds = session.scalars(select(Event.kind).where(Event.subject == "NET").order_by(Event.id)).all()
    assert kinds == ["network.joined", "network.left"]
    # The rules of the network count there from now on, so every calendar of it is asked anew.
    assert session.scalar(select(Instrument.revision).where(Instrument.id == microscope.id)) == before + 1
    with pytest.raises(Invalid):
        networks.add_facility(session, actor=root, code="NET", facility="NOWHERE", now=now)


def test_an_officer_who_manages_a_facility_takes_it_in(session: Session, place, now):
    network, _lab, yard = place
    nora = cast.nora(session, network)
    session.add(Membership(person_id=nora.id, role=Role.MANAGER, facility_id=yard.id))
    networks.add_facility(session, actor=cast.actor_of(session, nora), code="NET", facility="YARD", now=now)
    assert networks.of_facilities(session, [yard.id]) == {yard.id: frozenset({network.id})}
