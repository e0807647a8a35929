"""Words about an instrument made of the facts of an inventory, in Chinese and English."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from booking.domain import vocabulary
from booking.domain.vocabulary import Term

DEMO = Term(
    "演示数据：数值均为示例，未经运营单位确认。",
    "Demo data: every figure is an example that no operator has confirmed.",
)

UNITS: dict[str, Term] = {
    "DUT board": Term("块被测板", "board under test"),
    "EUT": Term("台被测设备", "device under test"),
    "L": Term("L", "L"),
    "L chamber": Term("L（箱容）", "L chamber"),
    "L/h": Term("L/h", "L/h"),
    "L/h feed": Term("L/h（进料）", "L/h feed"),
    "MPa": Term("MPa", "MPa"),
    "V": Term("V", "V"),
    "board": Term("块板", "board"),
    "board/day": Term("块/天", "boards a day"),
    "board/hour": Term("块/小时", "boards an hour"),
    "cell": Term("只电芯", "cell"),
    "cell/day": Term("只电芯/天", "cells a day"),
    "channel": Term("通道", "channels"),
    "experiment": Term("个实验", "experiment"),
    "kN": Term("kN", "kN"),
    "kW": Term("kW", "kW"),
    "kg payload": Term("kg（负载）", "kg payload"),
    "kg sample": Term("kg（样品）", "kg sample"),
    "kg water/h": Term("kg 水/h", "kg of water an hour"),
    "kg/h": Term("kg/h", "kg/h"),
    "m/min": Term("m/min", "m/min"),
    "m2 shelf": Term("m²（搁板）", "m² of shelf"),
    "m3 chamber": Term("m³（箱容）", "m³ chamber"),
    "m3 reactor": Term("m³（反应器）", "m³ reactor"),
    "mm build edge": Term("mm（成形边长）", "mm build edge"),
    "sample": Term("个样品", "sample"),
    "sample/changer": Term("个样品/换样器", "samples a changer"),
    "sample/tray": Term("个样品/盘", "samples a tray"),
    "set": Term("套", "set"),
    "set/day": Term("套/天", "sets a day"),
    "stub/load": Term("个样品台/次", "stubs a load"),
    "tonne": Term("t", "t"),
    "tonne GVM": Term("t（总质量）", "t gross vehicle mass"),
    "tonne clamp": Term("t（锁模力）", "t clamping force"),
    "unit/day": Term("台/天", "units a day"),
    "vehicle": Term("辆车", "vehicle"),
    "wafer": Term("片晶圆", "wafer"),
    "wafer/lot": Term("片晶圆/批", "wafers a lot"),
    "wafer/run": Term("片晶圆/次", "wafers a run"),
    "workpiece": Term("件工件", "workpiece"),
}
"""How the units of a capacity are written for people."""

_FACTS: dict[str, Term] = {
    "sip_cip": Term("可在线清洗和灭菌（CIP/SIP）。", "Cleaned and sterilised in place (CIP/SIP)."),
    "shared_load": Term("同一箱内可放置多家样品。", "Samples of several users may share a load."),
    "portable": Term("可移动。", "Portable."),
    "off_site_use": Term("可带到现场使用。", "May be used off site."),
    "overnight": Term("可过夜运行。", "May run overnight."),
}
_DUTIES: dict[str, Term] = {
    "gas_alarm_required": Term("气体报警器须处于工作状态。", "The gas alarm must be on."),
    "hazchem_declaration": Term("使用危险化学品前须申报。", "Hazardous chemicals are declared beforehand."),
    "allergen_cleaning": Term("使用过敏原后须专项清洗。", "After allergens a special cleaning is due."),
    "special_equipment_inspection": Term(
        "属特种设备，须在检验有效期内使用。", "Special equipment: used only while its inspection is valid."
    ),
}
_REVIEWS: dict[str, Term] = {
    "joint": Term("须经联席审核。", "A joint review is required."),
    "safety": Term("须经安全审核。", "A safety review is required."),
}


def facility(stated: Mapping[str, Any], operator_zh: str) -> dict[str, str]:
    """Say what a facility of a demo inventory is."""
    zh, en = _place(stated)
    operator = "" if operator_zh.startswith("待填") else f"运营单位：{operator_zh}。"
    return {
        "about_zh": f"{stated['name_zh']}，位于{zh or '待填'}。{operator}{DEMO.zh}",
        "about_en": f"{stated.get('name_en') or stated['name_zh']}{f', {en}' if en else ''}. {DEMO.en}",
    }


def instrument(
    values: Mapping[str, Any], extra: Mapping[Any, Any], place: Mapping[str, Any], *, demo: bool
) -> dict[str, str]:
    """Say what an instrument is for, its figures and its rules, as far as the inventory tells."""
    texts = {
        "about": (_about_zh(values, place), _about_en(values, place)),
        "specifications": _specifications(values, extra),
        "rules": _rules(values, extra),
    }
    if demo:
        about = texts["about"]
        texts["about"] = (f"{about[0]}\n{DEMO.zh}", f"{about[1]}\n{DEMO.en}")
    return {
        f"{name}_{language}": words
        for name, pair in texts.items()
        for language, words in zip(("zh", "en"), pair, strict=True)
    }


def _place(facility: Mapping[str, Any]) -> tuple[str, str]:
    regions = vocabulary.region_names(facility.get("region_code") or "")
    town = facility.get("town") or ""
    zh = "".join(region.zh for region in regions)
    if town and town not in zh:
        zh += town
    return zh, ", ".join(region.en for region in reversed(regions))


def _able(values: Mapping[str, Any]) -> list[Term]:
    """Give the abilities that are words, not figures."""
    return [vocabulary.ability_name(one.tag) for one in values["capabilities"] if one.value is None]


def _about_zh(values: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    kind = vocabulary.KINDS[values["kind"]].zh
    where = f"{place['name_zh']}的" if place.get("name_zh") else ""
    able = _able(values)
    use = f"，可用于{'、'.join(term.zh for term in able)}" if able else ""
    classes = vocabulary.class_names(values["category"] or "")
    sort = f"分类：{'／'.join(term.zh for term in classes)}。" if classes else ""
    return f"{values['name_zh']}是{where}{kind}{use}。{sort}"


def _about_en(values: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    name = values["name_en"] or values["name_zh"]
    kind = vocabulary.KINDS[values["kind"]].en.lower()
    where = f" of the {place['name_en']}" if place.get("name_en") else ""
    article = "An" if kind[0] in "aeiou" else "A"
    able = _able(values)
    use = f" for {_and([_lower(term.en) for term in able])}" if able else ""
    classes = vocabulary.class_names(values["category"] or "")
    sort = f" Class: {' / '.join(term.en for term in classes)}." if classes else ""
    return f"{name}. {article} {kind}{where}{use}.{sort}"


def _lower(name: str) -> str:
    """Write a name inside a sentence; abbreviations keep their capitals."""
    first = name.split(" ", maxsplit=1)[0]
    return name if first[1:] != first[1:].lower() or "-" in first[:2] else name[0].lower() + name[1:]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _specifications(values: Mapping[str, Any], extra: Mapping[Any, Any]) -> tuple[str, str]:
    zh: list[str] = []
    en: list[str] = []

    def add(term: Term) -> None:
        zh.append(term.zh)
        en.append(term.en)

    if values["capacity"] is not None:
        unit = UNITS.get(values["capacity_unit"], Term(values["capacity_unit"], values["capacity_unit"]))
        amount = _plain(values["capacity"])
        add(Term(f"能力：{amount} {unit.zh}", f"Capacity: {amount} {unit.en}"))
    for key, (before, after) in _FIGURES.items():
        if extra.get(key) not in (None, "", [], False):
            words = Term(_joined(extra[key]), _english(extra[key]))
            add(Term(before.zh + words.zh + after.zh, before.en + words.en + after.en))
    for key, term in _FACTS.items():
        if extra.get(key) is True:
            add(term)
    return "\n".join(zh), "\n".join(en)


def _joined(value: Any) -> str:
    return "、".join(str(part)[:60] for part in value) if isinstance(value, list) else str(value)[:200]


def _english(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    return ", ".join(_IN_ENGLISH.get(str(part), str(part)[:60]) for part in parts)


_IN_ENGLISH = {
    "III类射线装置(示例)": "class III radiation device (example)",
    "CMA/CNAS(示例,按实际附表填)": "CMA/CNAS (example)",
    "东莞理工学院": "Dongguan University of Technology",
    "香港城市大学": "City University of Hong Kong",
}


_FIGURES: dict[str, tuple[Term, Term]] = {
    "chemicals": (Term("介质：", "Chemicals: "), Term("", "")),
    "dry_room_dewpoint_c": (Term("干燥间露点：", "Dry-room dew point: "), Term(" °C", " °C")),
    "materials_changeover_min": (Term("换料时间：", "Change of material: "), Term(" 分钟", " minutes")),
    "thermal_soak_h": (Term("工件恒温：", "Thermal soak of workpieces: "), Term(" 小时", " h")),
    "radiation_class": (Term("辐射类别：", "Radiation class: "), Term("", "")),
    "accreditation_scope": (Term("资质：", "Accreditation: "), Term("", "")),
    "partners": (Term("合作单位：", "Partners: "), Term("", "")),
}
"""What stands before and after a figure."""


def _rules(values: Mapping[str, Any], extra: Mapping[Any, Any]) -> tuple[str, str]:
    zh: list[str] = []
    en: list[str] = []

    def add(term: Term) -> None:
        zh.append(term.zh)
        en.append(term.en)

    modes = [vocabulary.MODES[mode] for mode in values["modes"]]
    if modes:
        zh.append(f"服务方式：{'、'.join(mode.zh for mode in modes)}。")
        en.append(f"Service: {_and([_lower(mode.en) for mode in modes])}.")
    need = vocabulary.OPERATOR_NEEDS[values["operator_need"]]
    add(Term(f"{need.zh}。", f"{need.en}."))
    if values["training_required"]:
        add(Term("须先经培训授权。", "Training comes first."))
    if "sample" in values["modes"]:
        add(
            Term(
                "送样须注明编号、成分和危险性。",
                "Samples bear a number and state what they contain and its hazards.",
            )
        )
    if extra.get("review") in _REVIEWS:
        add(_REVIEWS[extra["review"]])
    if extra.get("permit_required") == "radiation_safety_permit":
        add(Term("须在辐射安全许可范围内使用。", "Used only within the radiation safety permit."))
    for key, term in _DUTIES.items():
        if extra.get(key) is True:
            add(term)
    if extra.get("cooldown_rule"):
        words = _joined(extra["cooldown_rule"])
        add(Term(f"{words}。", "Samples are released after their activation has been checked."))
    hazards = [vocabulary.HAZARDS[hazard] for hazard in values["hazards"]]
    if hazards:
        zh.append(f"危险因素：{'、'.join(hazard.zh for hazard in hazards)}。")
        en.append(f"Hazards: {_and([_lower(hazard.en) for hazard in hazards])}.")
    return "\n".join(zh), "\n".join(en)
