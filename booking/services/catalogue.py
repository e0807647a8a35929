"""The catalogue: search by words and filters, facets with counts, and the classes that it is sorted by."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from booking.domain import search as words_of
from booking.domain import vocabulary
from booking.domain.access import Actor
from booking.domain.rules import Invalid
from booking.domain.vocabulary import Term
from booking.services import instruments
from models import (
    Capability,
    Category,
    Facility,
    Instrument,
    InstrumentText,
    Network,
    NetworkFacility,
)

MOST_PER_PAGE = 100
MOST_PAGES = 10_000
MOST_CAPABILITIES = 30
"""So many tags are worth showing beside the results."""

LONGEST_FILTER = 200
_CAPABILITY = re.compile(r"([a-z0-9_]{1,60})(?:(>=|<=)(\d{1,10}(?:\.\d{1,3})?))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; an empty word asks for nothing.

    `category` finds what is below it (01 finds 0101). `capability` is a tag, or one with a limit
    (`volume_l>=50`); several have commas between.
    """

    q: str = ""
    facility: str = ""
    network: str = ""
    kind: str = ""
    category: str = ""
    capability: str = ""

    def __post_init__(self) -> None:
        """Refuse what nobody types.

        :raises Invalid: if a word is too long
        """
        long = {f.name: "too_long_text" for f in fields(self) if len(getattr(self, f.name)) > LONGEST_FILTER}
        if long:
            raise Invalid(long)


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the search, with the number of instruments that would be left."""

    key: str
    label_zh: str
    label_en: str
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of what was found, and how it may be narrowed; `facets` is empty where nobody asked."""

    items: list[Instrument]
    total: int
    page: int
    page_size: int
    facets: dict[str, list[Facet]]


class _Group(NamedTuple):
    """How many hits share facility, kind and class."""

    facility_id: int
    kind: str
    category: str
    number: int


class _Found(NamedTuple):
    """What one walk over the hits gives: groups, numbers by tag, and the ids of the page in order."""

    groups: list[_Group]
    tags: dict[str, int]
    ids: list[int]


class _Places(NamedTuple):
    """Facilities by id, and by id the networks that each is in."""

    facilities: dict[int, tuple[str, str, str]]
    networks: dict[int, list[tuple[str, str, str]]]


def matching(filters: Filters, actor: Actor) -> Select[int]:
    """Give the select of the ids of all instruments that match and that the actor may see."""
    query = select(Instrument.id).where(instruments.visible(actor), *_narrowed(filters, Instrument).values())
    if found := words_of.words(filters.q):
        query = query.where(Instrument.id.in_(select(InstrumentText.instrument_id).where(*_contains(found))))
    return query


def search(
    session: Session,
    *,
    actor: Actor,
    filters: Filters,
    page: int = 1,
    page_size: int = 20,
    locale: str = "zh_Hans_CN",
    facets: bool = True,
) -> Page:
    """Find instruments: exact names first, then beginnings, then words, each by name; by code without words.

    Each facet counts as if its own filter were not set. The number of statements does not grow with it.

    :raises Invalid: if there is no such page
    """
    _check_page(page, page_size)
    hits = _hits(filters, actor, locale).cte("hits")
    offset = (page - 1) * page_size
    found = _walk(session, filters, hits, limit=page_size, offset=offset, tags=facets)
    places = _places(session, {group.facility_id for group in found.groups})
    keep = _tests(filters, places)
    kept = [group for group in found.groups if all(test(group) for test in keep.values())]
    return Page(
        items=_items(session, found.ids),
        total=sum(group.number for group in kept),
        page=page,
        page_size=page_size,
        facets=_facets(session, filters, found, places, keep) if facets else {},
    )


def _check_page(page: int, page_size: int) -> None:
    errors = {}
    if not 1 <= page <= MOST_PAGES:
        errors["page"] = "out_of_range"
    if not 1 <= page_size <= MOST_PER_PAGE:
        errors["page_size"] = "out_of_range"
    if errors:
        raise Invalid(errors)


def _items(session: Session, ids: Sequence[int]) -> list[Instrument]:
    query = select(Instrument).where(Instrument.id.in_(ids)).options(*instruments.IN_A_LIST)
    rows = {row.id: row for row in session.scalars(query)}
    return [rows[place] for place in ids if place in rows]


# Conditions


def _contains(found: Iterable[str]) -> list[ColumnElement[bool]]:
    return [InstrumentText.search_text.contains(word, autoescape=True) for word in found]


def _narrowed(filters: Filters, c: Any) -> dict[str, ColumnElement[bool]]:
    """Give the condition of each filter that is set, by its name, on columns named as an instrument's."""
    makers: dict[str, Callable[[str], ColumnElement[bool]]] = {
        "facility": lambda code: (
            c.facility_id == select(Facility.id).where(Facility.code == code).scalar_subquery()
        ),
        "network": lambda code: c.facility_id.in_(_members(code)),
        "kind": lambda kind: c.kind == kind if kind in vocabulary.KINDS else false(),
        "category": lambda code: c.category_code.startswith(code, autoescape=True),
        "capability": lambda wanted: and_(*(_able(c.id, part) for part in _listed(wanted))),
    }
    return {name: make(value) for name, make in makers.items() if (value := getattr(filters, name).strip())}


def _members(network: str) -> Select[int]:
    return (
        select(NetworkFacility.facility_id)
        .join(Network, Network.id == NetworkFacility.network_id)
        .where(Network.code == network)
    )


def _listed(wanted: str) -> list[str]:
    return [part.strip() for part in wanted.split(",") if part.strip()]


def _able(instrument_id: Any, wanted: str) -> ColumnElement[bool]:
    found = _CAPABILITY.fullmatch(wanted)
    if found is None:
        return false()
    tag, limit, amount = found.groups()
    conditions = [Capability.instrument_id == instrument_id, Capability.tag == tag]
    if limit == ">=":
        conditions.append(Capability.value >= Decimal(amount))
    elif limit == "<=":
        conditions.append(Capability.value <= Decimal(amount))
    return exists().where(*conditions)


# One walk over the hits


def _walk(session: Session, filters: Filters, hits: CTE, *, limit: int, offset: int, tags: bool) -> _Found:
    """Count the hits by group and by tag, and take the page: one statement, which reads the texts once."""
    narrowed = _narrowed(filters, hits.c)
    able = {name: narrowed.pop(name) for name in ("capability",) if name in narrowed}
    parts = [
        _group_rows(hits, able.values()),
        _page_rows(hits, [*narrowed.values(), *able.values()], limit, offset),
    ]
    if tags:
        parts.append(_tag_rows(hits, narrowed.values()))
    return _sorted_out(session.execute(union_all(*parts)))


def _sorted_out(rows: Iterable[Any]) -> _Found:
    groups: list[_Group] = []
    tags: dict[str, int] = {}
    page: list[tuple[int, int]] = []
    for what, number, kind, word, count in rows:
        if what == "group":
            groups.append(_Group(number, kind, word or "", count))
        elif what == "tag":
            tags[word] = count
        else:
            page.append((count, number))
    return _Found(groups, tags, [place for _, place in sorted(page)])


def _hits(filters: Filters, actor: Actor, locale: str) -> Select[*tuple[Any, ...]]:
    """Give the select of all that match the words, before any filter, with what counting and sorting need."""
    found = words_of.words(filters.q)
    query = select(
        Instrument.id,
        Instrument.facility_id,
        Instrument.kind,
        Instrument.category_code,
        (_name(locale) if found else Instrument.code).label("name"),
        (_rank(found) if found else literal(0)).label("rank"),
    ).where(instruments.visible(actor))
    if not found:
        return query
    return query.join(InstrumentText, InstrumentText.instrument_id == Instrument.id).where(*_contains(found))


def _name(locale: str) -> ColumnElement[str]:
    """Give the name in the reader's language, or in the other one where it lacks."""
    if locale.startswith("zh"):
        return func.lower(Instrument.name_zh)
    return func.lower(func.coalesce(func.nullif(Instrument.name_en, ""), Instrument.name_zh))


def _rank(found: Sequence[str]) -> ColumnElement[int]:
    """Tell how well the words match: a whole name or code, its beginning, whole words, their beginnings."""
    whole = " ".join(found)
    names = [func.lower(name) for name in (Instrument.name_zh, Instrument.name_en, Instrument.code)]
    return case(
        *((name == whole, 0) for name in names),
        *((name.startswith(whole, autoescape=True), 1) for name in names),
        (and_(*_contains(f" {word} " for word in found)), 2),
        (and_(*_contains(f" {word}" for word in found)), 3),
        else_=4,
    )


def _group_rows(hits: CTE, conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    c = hits.c
    return (
        select(literal("group"), c.facility_id, c.kind, c.category_code, func.count())
        .where(*conditions)
        .group_by(c.facility_id, c.kind, c.category_code)
    )


def _tag_rows(hits: CTE, conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    return (
        select(literal("tag"), null(), null(), Capability.tag, func.count())
        .join_from(hits, Capability, Capability.instrument_id == hits.c.id)
        .where(*conditions)
        .group_by(Capability.tag)
    )


def _page_rows(
    hits: CTE, conditions: Iterable[ColumnElement[bool]], limit: int, offset: int
) -> Select[*tuple[Any, ...]]:
    c = hits.c
    order = (c.rank, c.name, c.id)
    page = (
        select(c.id, func.row_number().over(order_by=order).label("place"))
        .where(*conditions)
        .order_by(*order)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    return select(literal("page"), page.c.id, null(), null(), page.c.place)


# Facets


def _places(session: Session, facility_ids: Iterable[int]) -> _Places:
    wanted = set(facility_ids)
    query = select(Facility.id, Facility.code, Facility.name_zh, Facility.name_en)
    facilities = {
        place: (code, zh, en) for place, code, zh, en in session.execute(query.where(Facility.id.in_(wanted)))
    }
    members = (
        select(NetworkFacility.facility_id, Network.code, Network.name_zh, Network.name_en)
        .join(Network, Network.id == NetworkFacility.network_id)
        .where(NetworkFacility.facility_id.in_(wanted))
    )
    networks: dict[int, list[tuple[str, str, str]]] = {}
    for place, code, zh, en in session.execute(members):
        networks.setdefault(place, []).append((code, zh, en))
    return _Places(facilities, networks)


def _tests(filters: Filters, places: _Places) -> dict[str, Callable[[_Group], bool]]:
    """Give what each filter that is set asks of a group."""
    tests: dict[str, Callable[[_Group], bool]] = {
        "facility": lambda group: places.facilities[group.facility_id][0] == filters.facility.strip(),
        "network": lambda group: any(
            code == filters.network.strip() for code, _, _ in places.networks.get(group.facility_id, ())
        ),
        "kind": lambda group: group.kind == filters.kind.strip(),
        "category": lambda group: group.category.startswith(filters.category.strip()),
    }
    return {name: test for name, test in tests.items() if getattr(filters, name).strip()}


def _facets(
    session: Session,
    filters: Filters,
    found: _Found,
    places: _Places,
    keep: Mapping[str, Callable[[_Group], bool]],
) -> dict[str, list[Facet]]:
    def counted(name: str, keys: Callable[[_Group], Iterable[str]]) -> dict[str, int]:
        tests = [test for other, test in keep.items() if other != name]
        counts: dict[str, int] = {}
        for group in found.groups:
            if all(test(group) for test in tests):
                for key in keys(group):
                    counts[key] = counts.get(key, 0) + group.number
        return counts

    facilities = {code: Term(zh, en) for code, zh, en in places.facilities.values()}
    networks = {code: Term(zh, en) for rows in places.networks.values() for code, zh, en in rows}
    categories = counted(
        "category", lambda group: (group.category[:n] for n in (2, 4) if group.category[n - 2 :])
    )
    names = {
        code: Term(zh, en)
        for code, zh, en in session.execute(
            select(Category.code, Category.name_zh, Category.name_en).where(Category.code.in_(categories))
        )
    }
    by_facility = counted("facility", lambda group: (places.facilities[group.facility_id][0],))
    by_network = counted(
        "network", lambda group: (code for code, _, _ in places.networks.get(group.facility_id, ()))
    )
    tags = sorted(found.tags, key=lambda tag: (-found.tags[tag], tag))
    chosen = {part.split(">")[0].split("<")[0] for part in _listed(filters.capability)}
    shown = [tag for i, tag in enumerate(tags) if i < MOST_CAPABILITIES or tag in chosen]
    return {
        "facility": [_facet(key, facilities[key], by_facility[key]) for key in sorted(by_facility)],
        "network": [_facet(key, networks[key], by_network[key]) for key in sorted(by_network)],
        "kind": [
            _facet(key, name, count)
            for counts in [counted("kind", lambda group: (group.kind,))]
            for key, name in vocabulary.KINDS.items()
            if (count := counts.get(key, 0))
        ],
        "category": [_facet(key, names[key], categories[key]) for key in sorted(categories) if key in names],
        "capability": [_facet(tag, vocabulary.ability_name(tag), found.tags[tag]) for tag in shown],
    }


def _facet(key: str, name: Term, count: int) -> Facet:
    return Facet(key, name.zh, name.en, count)


# Classes


def ensure_categories(session: Session) -> None:
    """Add the classes of the national scheme that the table lacks; what is there stays as it was edited."""
    known = set(session.scalars(select(Category.code)))
    for one in vocabulary.CLASSES:
        if one.code not in known:
            session.add(
                Category(
                    code=one.code,
                    scheme=one.scheme,
                    parent_code=one.code[:-2] or None,
                    name_zh=one.name.zh,
                    name_en=one.name.en,
                )
            )
    session.flush()


def categories(session: Session) -> list[Category]:
    """Give all classes by code."""
    return list(session.scalars(select(Category).order_by(Category.code)))


def scheme_codes() -> list[str]:
    """Give the codes of all classes that `ensure_categories` will have added."""
    return [one.code for one in vocabulary.CLASSES]
