"""What the rules really answer, in both languages: which rule, where it stands, the figures, who may override it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from booking import wording
from booking.domain import policy
from booking.domain.chemicals import Hazard, Substance
from booking.domain.occupation import Item
from booking.domain.qualifications import Mode
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.i18n import use_locale
from booking.services import bookings, credit, qualifications
from models import Category, OpeningRule, Rule, RuleKind
from tests import cast
from tests.factories import LONG_AGO, make_facility, make_instrument, make_network
from tests.services.test_policies import make_rule
from tests.services.test_quotas import make_quota

HOUR = timedelta(hours=1)

EXCEPT_EN = " A manager of Example pilot platform may make an exception."
EXCEPT_ZH = "示例中试平台的管理员可以特批。"
FACILITY_EN = " (A rule of the facility Example pilot platform.)" + EXCEPT_EN
FACILITY_ZH = "（规则来源：平台“示例中试平台”。）" + EXCEPT_ZH
INSTRUMENT_EN = " (A rule of the instrument SEM.)" + EXCEPT_EN
INSTRUMENT_ZH = "（规则来源：仪器 SEM。）" + EXCEPT_ZH
CLASS_EN = " (A rule of the class 03 Metrology.)" + EXCEPT_EN
CLASS_ZH = "（规则来源：分类 03 计量仪器。）" + EXCEPT_ZH
NETWORK_EN = " (A rule of the network Example network.)" + EXCEPT_EN
NETWORK_ZH = "（规则来源：共享网“示例共享网”。）" + EXCEPT_ZH

# The setting or limit, its value and place; what is booked before; what is asked for: hours from now, and how long.
CASES = {
    "too_short": (
        ("shortest", 60, "instrument"),
        [],
        (1, 0.5),
        "30 min is too short: the shortest use of SEM is 1 h." + INSTRUMENT_EN,
        "30 分钟过短：SEM 单次最短 1 小时。" + INSTRUMENT_ZH,
    ),
    "too_long": (
        ("longest", 120, "class"),
        [],
        (1, 25.5),
        "1 day 1 h 30 min is too long: the longest use of SEM is 2 h." + CLASS_EN,
        "1 天 1 小时 30 分钟过长：SEM 单次最长 2 小时。" + CLASS_ZH,
    ),
    "off_step": (
        ("step", 60, "instrument"),
        [],
        (1, 1.5),
        "Start and length of a use of SEM go in steps of 1 h." + INSTRUMENT_EN,
        "使用 SEM 的开始时间和时长须以 1 小时为单位。" + INSTRUMENT_ZH,
    ),
    "notice": (
        ("notice", 24 * 60, "network"),
        [],
        (2, 1),
        "SEM wants 1 day of notice; the earliest start now is Tue 3 Nov 2026, 16:00." + NETWORK_EN,
        "SEM 须提前 1 天预约；目前最早可从 2026年11月3日 周二 16:00 开始。" + NETWORK_ZH,
    ),
    "horizon": (
        ("horizon", 7 * 24 * 60, "facility"),
        [],
        (168, 1),
        "SEM can be booked at most 7 days ahead, until Mon 9 Nov 2026, 16:00." + FACILITY_EN,
        "SEM 最多可提前 7 天预约，目前最晚可约到 2026年11月9日 周一 16:00。" + FACILITY_ZH,
    ),
    "too_close": (
        ("gap", 120, "instrument"),
        [(1, 1)],
        (3, 1),
        "Between two bookings of one person on SEM lie at least 2 h; there is one at Mon 2 Nov 2026, 17:00."
        + INSTRUMENT_EN,
        "同一人在 SEM 上的两次预约之间须至少间隔 2 小时；在 2026年11月2日 周一 17:00 已有一次预约。"
        + INSTRUMENT_ZH,
    ),
    "too_many_ahead": (
        ("concurrent", 1, "facility"),
        [(1, 1)],
        (5, 1),
        "1 booking lies ahead already; the limit for each person is 1." + FACILITY_EN,
        "已有 1 个尚未结束的预约；每人最多 1 个。" + FACILITY_ZH,
    ),
    "quota_hours": (
        (("person", "hours", "week", None), 16 * 60, "facility"),
        [(1, 14.5)],
        (24, 2),
        "14.5 h of 16 h used in the week from Mon 2 Nov 2026; this asks for 2 h. It is the limit for each person."
        + FACILITY_EN,
        "从 2026年11月2日 周一开始的一周内已使用 14.5 小时，限额 16 小时；本次需要 2 小时。这是每人的限额。"
        + FACILITY_ZH,
    ),
    "quota_bookings": (
        (("organisation", "bookings", "day", None), 2, "network"),
        [(1, 1), (2, 1)],
        (5, 1),
        "2 of 2 bookings used on Mon 2 Nov 2026. It is the limit for each organisation." + NETWORK_EN,
        "2026年11月2日 周一当天已有 2 个预约，限额 2 个。这是每个单位的限额。" + NETWORK_ZH,
    ),
    "taken": (
        None,
        [(1, 2)],
        (2, 1),
        "SEM is already taken at this time, its set-up and clean-up included.",
        "SEM 在该时段（含准备和清理时间）已被占用。",
    ),
    "past": (None, [], (-1, 2), "This time has already passed.", "该时段已过。"),
}


@pytest.fixture
def lab(session, now):
    """A microscope of a facility in a network, managed by Tam; Ben comes to use it."""
    session.add(Category(code="03", name_zh="计量仪器", name_en="Metrology"))
    facility = make_facility(session, code="LAB", name_zh="示例中试平台", name_en="Example pilot platform")
    network = make_network(session, facility, code="NET", name_zh="示例共享网", name_en="Example network")
    sem = make_instrument(session, facility=facility, code="SEM", category_code="03")
    return SimpleNamespace(
        session=session,
        now=now,
        facility=facility,
        sem=sem,
        tam=cast.actor_of(session, cast.tam(session, facility)),
        ben=cast.actor_of(session, cast.ben(session)),
        places={
            "instrument": {"instrument_id": sem.id},
            "class": {"category_code": "03"},
            "facility": {"facility_id": facility.id},
            "network": {"network_id": network.id},
        },
    )


def item(lab, start, hours=1.0):
    at = lab.now + start * HOUR
    return Item(lab.sem.id, Span(at, at + hours * HOUR))


def place(lab, start=1.0, hours=1.0, **more):
    wish = [item(lab, start, hours)]
    return bookings.place(lab.session, actor=lab.ben, items=wish, now=lab.now, **more)


def refused(lab, start=1.0, hours=1.0, **more):
    with pytest.raises(Refused) as error:
        place(lab, start, hours, **more)
    (reason,) = error.value.reasons
    wish = [item(lab, start, hours)]
    verdict = bookings.dry_run(lab.session, actor=lab.ben, items=wish, now=lab.now, **more)
    assert [both(found) for found in verdict.reasons] == [both(reason)]
    return reason


def both(reason):
    """Say a reason in English and in Simplified Chinese."""
    said = []
    for locale in ("en", "zh_Hans_CN"):
        with use_locale(locale):
            said.append(wording.sentence(reason.code, reason.params))
    return tuple(said)


def set_rule(lab, name, value, where):
    if isinstance(name, str):
        make_rule(lab.session, name, value, **lab.places[where])
    else:
        make_quota(lab.session, value, *name, **lab.places[where])


@pytest.mark.parametrize("code", CASES)
def test_each_rule_names_itself_its_figures_and_who_may_override_it(lab, code):
    rule, before, asked, english, chinese = CASES[code]
    for start, hours in before:
        place(lab, start, hours)
    if rule:
        set_rule(lab, *rule)

    reason = refused(lab, *asked)

    assert (reason.code, *both(reason)) == (code, english, chinese)
    assert reason.overridable == (rule is not None)


@pytest.mark.parametrize(
    ("name", "verb", "english", "chinese"),
    [
        (
            "notice_to_change",
            "change",
            "SEM can be changed until 2 h before the start, which was Mon 2 Nov 2026, 17:00.",
            "SEM 的预约最迟须在开始前 2 小时更改，截止时间 2026年11月2日 周一 17:00 已过。",
        ),
        (
            "notice_to_cancel",
            "cancel",
            "SEM can be given up until 2 h before the start, which was Mon 2 Nov 2026, 17:00.",
            "SEM 的预约最迟须在开始前 2 小时取消，截止时间 2026年11月2日 周一 17:00 已过。",
        ),
    ],
)
def test_too_late_to_change_or_give_up(lab, name, verb, english, chinese):
    booking = place(lab, 3)
    set_rule(lab, name, 120, "facility")
    given = {"items": [item(lab, 9)], "version": None} if verb == "change" else {}

    with pytest.raises(Refused) as error:
        getattr(bookings, verb)(
            lab.session, actor=lab.ben, booking_id=booking.id, now=lab.now + 2 * HOUR, **given
        )

    (reason,) = error.value.reasons
    assert both(reason) == (english + FACILITY_EN, chinese + FACILITY_ZH)


def test_closed_says_when_it_is_open(lab):
    lab.session.query(OpeningRule).delete()
    for opens, closes in ((8 * 60 + 30, 12 * 60), (13 * 60 + 30, 17 * 60 + 30)):
        tuesday = OpeningRule(facility_id=lab.facility.id, weekday=1, opens=opens, closes=closes)
        lab.session.add(tuesday)
    lab.session.flush()

    assert both(refused(lab, 17, 4)) == (
        "SEM is not open for the whole of this time: on Tue 3 Nov 2026 it is open 08:30–12:00, 13:30–17:30."
        + EXCEPT_EN,
        "SEM 在该时段并非全程开放：2026年11月3日 周二的开放时间为 08:30–12:00、13:30–17:30。" + EXCEPT_ZH,
    )
    assert both(refused(lab, 41, 4)) == (
        "SEM is not open for the whole of this time: on Wed 4 Nov 2026 it is closed." + EXCEPT_EN,
        "SEM 在该时段并非全程开放：2026年11月4日 周三不开放。" + EXCEPT_ZH,
    )


def test_too_many_units_and_not_bookable(lab):
    with pytest.raises(Refused) as error:
        bookings.place(
            lab.session,
            actor=lab.ben,
            items=[Item(lab.sem.id, item(lab, 1).span, 3)],
            now=lab.now,
        )
    assert both(error.value.reasons[0]) == (
        "SEM has 1 unit; you asked for 3.",
        "SEM 共有 1 个单元；您申请了 3 个。",
    )
    lab.sem.bookable = False
    assert both(refused(lab)) == (
        "SEM cannot be booked at present. Ask the facility.",
        "SEM 目前不可预约，请联系平台。",
    )


def test_a_ban_says_until_when_and_who_lifts_it(lab):
    place(lab)
    credit.ban(
        lab.session,
        actor=lab.tam,
        facility_id=lab.facility.id,
        email=lab.ben.email,
        until=lab.now + 30 * 24 * HOUR,
        reason="Left the door open",
        now=lab.now,
    )

    assert both(refused(lab, 5)) == (
        "You may not book at Example pilot platform until Wed 2 Dec 2026, 16:00. "
        "A manager of the facility may lift this." + EXCEPT_EN,
        "2026年12月2日 周三 16:00 前您不可在示例中试平台预约。平台管理员可以解除停约。" + EXCEPT_ZH,
    )


def need_laser(lab, mode):
    more = {"actor": lab.tam, "code": "LASER", "now": lab.now}
    names = {"name_zh": "激光安全", "name_en": "Laser safety", "months": 12}
    qualifications.define(lab.session, facility_id=lab.facility.id, **names, **more)
    data = {"mode": mode.value}
    make_rule(lab.session, "LASER", None, kind=RuleKind.QUALIFICATION, data=data, **lab.places["instrument"])


def test_a_qualification_is_named_and_the_way_to_it(lab):
    need_laser(lab, Mode.BEFORE_BOOKING)
    reason = refused(lab)
    assert both(reason) == (
        "SEM needs the qualification “Laser safety”, which is not held. Ask for it under “My qualifications”.",
        "使用 SEM 须有上岗资质“激光安全”，目前尚未持有。请在“我的上岗资质”中申请。",
    )
    assert not reason.overridable


def test_a_qualification_that_is_wanted_by_the_start_is_a_condition(lab):
    need_laser(lab, Mode.BEFORE_START)
    verdict = bookings.dry_run(lab.session, actor=lab.ben, items=[item(lab, 1)], now=lab.now)
    (reason,) = verdict.conditions
    english, chinese = both(reason)
    assert english == (
        "On condition of the qualification “Laser safety” for SEM: without it nobody can check in. "
        "Ask for it under “My qualifications” before the start."
    )
    assert (
        chinese
        == "预约附有条件：须取得 SEM 的上岗资质“激光安全”，否则不能上机。请在开始前于“我的上岗资质”中申请。"
    )


def test_a_chemical_without_its_permit_is_named_with_its_hazards(lab):
    lab.session.add(
        Rule(
            kind=RuleKind.APPROVAL,
            name="Permits",
            facility_id=lab.facility.id,
            data={"approvers": None, "permit_for": ["drug_precursor_3", "explosive_precursor"]},
            valid_from=LONG_AGO.date(),
            created_at=LONG_AGO,
        )
    )
    lab.session.flush()
    hazards = frozenset({Hazard.DRUG_PRECURSOR_3, Hazard.EXPLOSIVE_PRECURSOR, Hazard.HAZARDOUS})

    reason = refused(lab, chemicals=[Substance("Acetone", hazards=hazards)])

    assert both(reason) == (
        "Acetone (Class 3 drug precursor, Explosive precursor) needs a permit here: give the permit's number.",
        "“Acetone”属于易制毒化学品（第三类）、易制爆危险化学品，在此使用须有许可证：请填写许可证编号。",
    )
    assert not reason.overridable


def test_every_setting_that_refuses_stands_here():
    elsewhere = {"notice_to_change", "notice_to_cancel"}
    assert policy.BEHIND.keys() <= CASES.keys() | elsewhere
