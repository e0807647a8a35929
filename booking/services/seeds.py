"""The demo: six people and a believable fortnight of bookings, made by the services themselves.

What lies in the past was placed, begun and ended at its own time, so that histories, timelines and feeds are
what they would be. The demo inventory must have been imported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from booking.domain import attendance
from booking.domain.access import SYSTEM, Actor, Role, actor_from
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import Action, State
from booking.domain.occupation import Item
from booking.domain.policy import PlaceKind, settings_of
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    accounts,
    approvals,
    bookings,
    closures,
    facilities,
    networks,
    policies,
    processes,
    rules,
)
from booking.services.accounts import PasswordHash
from models import (
    Booking,
    Capability,
    ClosureKind,
    Document,
    Event,
    Instrument,
    Membership,
    Organisation,
    OrganisationKind,
    Person,
    Project,
    ProjectMember,
    RuleKind,
)

PASSWORD = "yiqi-demo"  # noqa: S105 - printed for everybody to see
PEOPLE = (
    ("ada@example.org", "researcher, leads a project at a university"),
    ("ben@example.org", "researcher, her student"),
    ("cleo@example.org", "researcher at a company outside"),
    ("tam@example.org", "manager of a facility"),
    ("nora@example.org", "network officer"),
    ("root@example.org", "administrator"),
)
FACILITY = "DG-SLAB"
NETWORK = "GUANYI"
ZONE = "Asia/Shanghai"

PURPOSES = {
    "lithography": "光刻胶曝光剂量优化",
    "electron_beam": "纳米光栅曝光",
    "plasma_etching": "刻蚀速率与侧壁形貌",
    "thin_film_deposition": "氮化硅薄膜应力",
    "electron_microscopy": "断口形貌观察",
    "xray_inspection": "焊点缺陷检查",
    "emc": "整机辐射发射预测试",
    "thermal_cycling": "电路板温度循环",
    "vibration_testing": "连接器随机振动",
    "machining": "夹具试制",
    "3d_printing": "随形冷却模芯打印",
    "dimensional_metrology": "关键尺寸复测",
    "fermentation": "重组菌株放大培养",
    "membrane_separation": "发酵液浓缩",
    "mass_spectrometry": "杂质定量",
    "mixing": "正极浆料分散",
    "battery_testing": "电芯循环寿命",
    "mechanical_testing": "焊接试样拉伸",
    "xray_diffraction": "物相鉴定",
    "corrosion_testing": "镀层盐雾对比",
    "particle_sizing": "粉体粒度分布",
    "vehicle_testing": "续航工况测试",
    "distillation": "热敏物料提纯",
}
"""What people book for, by what the instrument can do."""

OTHERWISE = "样品试验"


@dataclass(frozen=True, slots=True)
class _Cast:
    """The people of the story with what each may do."""

    ada: Actor
    ben: Actor
    cleo: Actor
    tam: Actor
    project: Project


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody's use of one instrument that the story wants."""

    actor: Actor
    instrument: Instrument
    span: Span
    placed_at: datetime
    purpose: str
    own_project: bool = False


def anybody(session: Session) -> bool:
    """Tell whether there is an account."""
    return session.scalar(select(Person.id).limit(1)) is not None


def demo(session: Session, *, password_hash: PasswordHash, now: datetime) -> bool:
    """Make the demo people with their roles, and their bookings around now; False if they are there already.

    :raises NotFound: if the demo inventory was not imported
    """
    if accounts.by_email(session, email="ada@example.org") is not None:
        return False
    newest = session.scalar(select(func.max(Event.id))) or 0
    cast = _people(session, password_hash, now)
    _papers(session)
    _closure(session, cast, now)
    _processes(session, now)
    _standby(session, cast, now)
    taken = _bookings(session, cast, now)
    _lives(session, cast, taken, now)
    # Nobody wants mail about a story.
    session.execute(update(Event).where(Event.id > newest).values(dispatched_at=now))
    return True


# People


def _people(session: Session, password_hash: PasswordHash, now: datetime) -> _Cast:
    university = _organisation(
        session, "DEMO-UNI", "示例大学", "Example University", OrganisationKind.UNIVERSITY
    )
    company = _organisation(
        session, "DEMO-CO", "示例科技公司", "Example Company", OrganisationKind.ENTERPRISE
    )
    facility = facilities.by_code(session, code=FACILITY)
    network = networks.by_code(session, code=NETWORK)
    joined = now - timedelta(days=60)
    people = {
        name: accounts.create(
            session,
            email=f"{name.lower()}@example.org",
            name=name,
            password_hash=password_hash,
            now=joined,
        )
        for name in ("Ada", "Ben", "Cleo", "Tam", "Nora", "Root")
    }
    roles: tuple[tuple[str, Role, dict[str, int]], ...] = (
        ("Ada", Role.LEADER, {"organisation_id": university.id}),
        ("Ben", Role.MEMBER, {"organisation_id": university.id}),
        ("Cleo", Role.MEMBER, {"organisation_id": company.id}),
        ("Tam", Role.MANAGER, {"facility_id": facility.id}),
        ("Tam", Role.OPERATOR, {"facility_id": facility.id}),
        ("Tam", Role.MEMBER, {"organisation_id": facility.organisation_id}),
        ("Nora", Role.OFFICER, {"network_id": network.id}),
        ("Root", Role.ADMINISTRATOR, {}),
    )
    for name, role, place in roles:
        session.add(Membership(person_id=people[name].id, role=role, **place))
    project = Project(
        code="DEMO-2026-01",
        name="微纳传感器中试（演示）",
        organisation_id=university.id,
        leader_id=people["Ada"].id,
    )
    session.add(project)
    session.flush()
    members = (people["Ada"], people["Ben"])
    session.add_all(ProjectMember(project_id=project.id, person_id=person.id) for person in members)
    session.flush()
    ada, ben, cleo, tam = (_actor(session, people[name]) for name in ("Ada", "Ben", "Cleo", "Tam"))
    return _Cast(ada, ben, cleo, tam, project)


def _organisation(
    session: Session, code: str, name_zh: str, name_en: str, kind: OrganisationKind
) -> Organisation:
    found = session.scalars(select(Organisation).where(Organisation.code == code)).one_or_none()
    if found is None:
        found = Organisation(code=code, name_zh=name_zh, name_en=name_en, kind=kind)
        session.add(found)
        session.flush()
    return found


def _actor(session: Session, person: Person) -> Actor:
    columns = (Membership.role, Membership.organisation_id, Membership.facility_id, Membership.network_id)
    rows = session.execute(select(*columns).where(Membership.person_id == person.id)).all()
    return actor_from(
        [(role, organisation, facility, network) for role, organisation, facility, network in rows],
        person_id=person.id,
        name=person.name,
        email=person.email,
    )


def _papers(session: Session) -> None:
    """Give some instruments a paper to read."""
    for code in ("DG-SLAB-02", "DG-SLAB-05", "DG-QTI-03"):
        place = session.scalar(select(Instrument.id).where(Instrument.code == code))
        if place is not None:
            title = "操作规程（演示） Operating procedure (demo)"
            address = f"https://example.org/procedures/{code.lower()}"
            session.add(Document(instrument_id=place, title=title, url=address))


# Time


def _at(now: datetime, day: int, minute: int) -> datetime:
    """Give the instant of a wall-clock minute in Guangdong, so many days from today."""
    tz = zone(ZONE)
    return instant(now.astimezone(tz).date() + timedelta(days=day), minute, tz)


def _processes(session: Session, now: datetime) -> None:
    """Set what lies between two families of work, and what the instruments share, where processes are at home."""
    food = facilities.by_code(session, code="DG-FOOD")
    minutes = {("乳蛋白", "大豆蛋白"): 240, ("大豆蛋白", "乳蛋白"): 360}
    processes.replace_changeovers(session, actor=SYSTEM, facility=food, minutes=minutes, now=now)
    for code, zh, en, unit, capacity in (
        ("STEAM", "蒸汽", "Steam", "kg/h", 300),
        ("OPERATORS", "当班操作人员", "Operators of a shift", "人", 3),
    ):
        processes.keep_utility(
            session,
            actor=SYSTEM,
            facility=food,
            code=code,
            name_zh=zh,
            name_en=en,
            unit=unit,
            capacity=capacity,
            now=now,
        )


def _standby(session: Session, cast: _Cast, now: datetime) -> None:
    """Let people stand by where Tam manages."""
    at = rules.where(session, actor=cast.tam, kind=PlaceKind.FACILITY, code="DG-SLAB")
    draft = rules.Draft(RuleKind.SETTING, name="standby", value=1)
    rules.add(session, actor=cast.tam, at=at, draft=draft, now=now - timedelta(days=1))


def _closure(session: Session, cast: _Cast, now: datetime) -> None:
    """Have Tam maintain the electron-beam system the day after tomorrow."""
    row = session.scalars(select(Instrument).where(Instrument.code == "DG-SLAB-02")).one()
    closures.make(
        session,
        actor=cast.tam,
        facility_id=row.facility_id,
        instrument_id=row.id,
        span=Span(_at(now, 2, 9 * 60), _at(now, 2, 17 * 60)),
        kind=ClosureKind.MAINTENANCE,
        reason="更换阴极、真空检漏（演示）",
        imposed=False,
        now=now - timedelta(days=1),
    )


def _bookings(session: Session, cast: _Cast, now: datetime) -> list[Booking]:
    """Place what the story wants, oldest first; what the rules refuse is left out, as people would."""
    rows = session.scalars(select(Instrument).order_by(Instrument.code)).all()
    tags = _tags(session)
    visits = _chosen(cast, {row.code: row for row in rows}, now)
    for n, row in enumerate(rows):
        purpose = next((PURPOSES[tag] for tag in tags.get(row.id, ()) if tag in PURPOSES), OTHERWISE)
        visits += _usual(cast, row, n, purpose, now)
    placed = []
    for visit in sorted(visits, key=lambda visit: visit.placed_at):
        try:
            placed.append(
                bookings.place(
                    session,
                    actor=visit.actor,
                    items=[Item(visit.instrument.id, visit.span, 1 + visit.instrument.units // 16)],
                    purpose=visit.purpose,
                    project_id=cast.project.id if visit.own_project else None,
                    now=visit.placed_at,
                )
            )
        except Refused as refused:
            _expected(refused.reasons)
    return placed


def _expected(reasons: Sequence[Reason]) -> None:
    """Let pass only the refusals that a calendar gives: taken, or not open on that day.

    :raises Refused: for any other
    """
    if {reason.code for reason in reasons} - {"taken", "closed"}:
        raise Refused(reasons)


def _tags(session: Session) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(Capability.instrument_id, Capability.tag).order_by(Capability.tag)
    for place, tag in session.execute(query):
        found.setdefault(place, []).append(tag)
    return found


def _chosen(cast: _Cast, rows: dict[str, Instrument], now: datetime) -> list[_Visit]:
    """Give the visits that a guest of the demo should meet, whatever else there is."""
    wanted = (
        (cast.ada, "DG-SLAB-05", -6, 600, 120, "传感器膜层断面"),
        (cast.ada, "DG-QTI-03", -3, 540, 120, "退火前物相"),
        (cast.ada, "DG-SLAB-05", 2, 600, 120, "传感器膜层断面"),
        (cast.ada, "DG-QTI-03", 4, 540, 180, "退火前后物相对比"),
        (cast.ada, "DG-SLAB-03", 8, 840, 120, "深槽刻蚀试验"),
        (cast.ben, "DG-SLAB-04", 7, 600, 180, "低应力氮化硅"),
        (cast.ben, "DG-SLAB-05", 3, 840, 120, "颗粒统计"),
        (cast.cleo, "DG-SLAB-05", 3, 540, 180, "客户样品失效分析"),
        (cast.cleo, "DG-SLAB-04", 9, 840, 120, "钝化层试制"),
        (cast.cleo, "DG-SSB-04", 5, 540, 24 * 60, "软包电芯分容"),
    )
    visits = []
    for actor, code, day, minute, length, purpose in wanted:
        row = rows[code]
        start = _at(now, day + _to_monday(now, day), minute)
        span = Span(start, start + timedelta(minutes=length))
        visits.append(_visit(actor, row, span, purpose, now, earlier=timedelta(hours=30), own_project=True))
    return visits


def _to_monday(now: datetime, day: int) -> int:
    """Give the days from a weekend to its Monday."""
    weekday = (now.astimezone(zone(ZONE)).date() + timedelta(days=day)).weekday()
    return max(0, 7 - weekday) if weekday > 4 else 0


def _usual(cast: _Cast, row: Instrument, n: int, purpose: str, now: datetime) -> list[_Visit]:
    """Give the visits of one instrument up to nine days ahead, a few of them or none.

    They begin five days ago, at the facility of the story four weeks ago: its desk has something to draw.
    """
    crowd = (cast.ben, cast.cleo, cast.ben, cast.cleo, cast.tam)
    policy = settings_of({name: value for name, value in policies.sheet_of(row).items() if value is not None})
    long = policy.shortest >= 6 * 60
    first, step = (-5 + n % 3, 6 + n % 3) if long else (-5 + n % 2, 2 + n % 3)
    if row.code.startswith(f"{FACILITY}-"):
        first -= 21 // step * step
    if n % 5 == 4:
        return []
    visits = []
    for turn, day in enumerate(range(first, 10, step)):
        length = max(policy.shortest, (60, 120, 180)[(n + turn) % 3] if not long else 0)
        length = -(-length // policy.step) * policy.step
        start = _at(now, day, (9 * 60, 10 * 60, 13 * 60, 15 * 60)[(n + turn) % 4])
        span = Span(start, start + timedelta(minutes=length))
        actor = crowd[(n + turn) % len(crowd)]
        earlier = timedelta(hours=26 + 7 * (n % 5))
        visits.append(_visit(actor, row, span, purpose, now, earlier=earlier))
    return visits


def _visit(
    actor: Actor,
    row: Instrument,
    span: Span,
    purpose: str,
    now: datetime,
    *,
    earlier: timedelta,
    own_project: bool = False,
) -> _Visit:
    """Have somebody book early enough for the notice that the instrument wants, and before now."""
    placed_at = min(now, span.start - timedelta(minutes=row.notice_minutes or 0)) - earlier
    own = own_project and "Cleo" not in actor.name
    return _Visit(actor, row, span, placed_at, purpose, own)


# What became of them


def _lives(session: Session, cast: _Cast, placed: Iterable[Booking], now: datetime) -> None:
    """Let time pass over the bookings, in the order in which it would."""
    people = {actor.person_id: actor for actor in (cast.ada, cast.ben, cast.cleo, cast.tam)}
    rows = sorted(placed, key=lambda booking: booking.starts_at)
    for n, booking in enumerate(rows):
        owner = people[booking.person_id]
        if booking.state is State.REQUESTED and not _leave_waiting(booking, now):
            at = min(now, booking.created_at + timedelta(hours=5))
            here = booking.items[0].instrument.facility_id in cast.tam.manages
            approver = cast.tam if here else SYSTEM
            approvals.approve(session, actor=approver, booking_id=booking.id, comment="同意", now=at)
        if booking.state is State.CONFIRMED and booking.starts_at <= now:
            _use(session, owner, booking, n, now)
        elif booking.state is State.CONFIRMED and n % 19 == 7 and owner is cast.ben:
            at = min(now, booking.created_at + timedelta(hours=8))
            bookings.cancel(session, actor=owner, booking_id=booking.id, reason="样品未到", now=at)


def _leave_waiting(booking: Booking, now: datetime) -> bool:
    """Tell whether a request should still lie in the manager's inbox: those of the coming days."""
    return booking.starts_at > now + timedelta(days=5)


def _use(session: Session, owner: Actor, booking: Booking, n: int, now: datetime) -> None:
    if n % 17 == 5 and booking.ends_at <= now:
        # Nobody came.
        bookings.finish(session, actor=SYSTEM, booking=booking, action=Action.MISS, now=booking.ends_at)
        return
    came = booking.starts_at + timedelta(minutes=n % 7)
    if came > now:
        return
    bookings.check_in(session, actor=owner, booking_id=booking.id, now=came)
    if booking.ends_at > now:
        return
    went = booking.ends_at - timedelta(minutes=5 * (n % 3))
    bookings.check_out(session, actor=owner, booking_id=booking.id, now=went)
    if n % 3 == 0 or (went < now - attendance.FEEDBACK_WITHIN and n % 23 != 4):
        said = ("设备正常，样品台很干净。", "")[n % 2]
        bookings.feedback(
            session,
            actor=owner,
            booking_id=booking.id,
            rating=4 + n % 2,
            condition="normal",
            comment=said,
            now=min(now, went + timedelta(hours=1)),
        )
