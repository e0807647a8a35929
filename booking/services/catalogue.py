"""The catalogue: search by words and filters, facets with counts, and the classes that it is sorted by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from booking.domain import needs, vocabulary
from booking.domain import search as words_of
from booking.domain.access import Actor
from booking.domain.rules import Invalid
from booking.domain.vocabulary import Term
from booking.services import distances, instruments
from booking.services.distances import Reach
from models import (
    Capability,
    Category,
    Facility,
    Instrument,
    InstrumentText,
    Network,
    NetworkFacility,
)
from models.words import holding, holds

MOST_PER_PAGE = 100
MOST_PAGES = 10_000
MOST_TAGGED = 20_000
"""Of more hits than this the capabilities are not counted: nobody reads on, and it would be most of the cost."""

MOST_CHOICES = 50
"""So many facilities or networks are worth showing beside the results, the largest."""

MOST_CAPABILITIES = 30
"""So many tags are."""

MOST_RANKED = 500
"""Facilities farther away than so many others come in no order of their own."""

LONGEST_FILTER = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; an empty word asks for nothing.

    Of facilities, networks, regions, kinds and categories one of several with commas between is enough. `category`
    finds what is below it (01 finds 0101), and so does `region` (450000 finds 450200). `capability` is a tag, or one
    with a limit (`volume_l>=50`); of several with commas between all count. `near` is where distances count from, as
    `distances.reach` reads it, `within_km` how many kilometres away it may be.
    """

    q: str = ""
    facility: str = ""
    network: str = ""
    kind: str = ""
    category: str = ""
    capability: str = ""
    near: str = ""
    within_km: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        """Refuse what nobody types.

        :raises Invalid: if a word is too long
        """
        long = {f.name: "too_long_text" for f in fields(self) if len(getattr(self, f.name)) > LONGEST_FILTER}
        if long:
            raise Invalid(long)

    @property
    def kept(self) -> dict[str, str]:
        """What is asked for, by name, as it is kept."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the search, with the number of instruments that would be left."""

    key: str
    label_zh: str
    label_en: str
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of what was found, and how it may be narrowed; `facets` is empty where nobody asked.

    `km` tells how far each facility is from the one that was named, where that is known.
    """

    items: list[Instrument]
    total: int
    page: int
    page_size: int
    facets: dict[str, list[Facet]]
    km: Mapping[int, float] = field(default_factory=dict)


class _Found(NamedTuple):
    """What one statement tells: how many, the ids of the page in order, and counts by facet and key."""

    total: int
    ids: list[int]
    counts: dict[str, dict[Any, int]]


def matching(filters: Filters, actor: Actor, reach: Reach | None = None) -> Select[int]:
    """Give the select of the ids of all instruments that match, near enough, and that the actor may see."""
    return select(Instrument.id).where(*conditions(filters, actor, reach))


def conditions(filters: Filters, actor: Actor, reach: Reach | None = None) -> list[ColumnElement[bool]]:
    """Say of an instrument that it matches, is near enough, and may be seen by the actor."""
    asked = [instruments.visible(actor), *_narrowed(filters, Instrument, reach).values()]
    if found := words_of.words(filters.q):
        asked.append(Instrument.id.in_(select(InstrumentText.instrument_id).where(*holding(found))))
    return asked


def ids(session: Session, *, actor: Actor, filters: Filters, limit: int) -> list[int]:
    """Give the ids of what matches, no more than the limit; in no order that means anything."""
    reach = distances.reach(session, near=filters.near, within_km=filters.within_km)
    return list(session.scalars(matching(filters, actor, reach).order_by(Instrument.id).limit(limit)))


def tests(filters: Filters) -> dict[str, ColumnElement[bool]]:
    """Give the condition on an instrument of each filter that is set, by its name; words and distance apart."""
    return _narrowed(filters, Instrument)


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

    Near a facility the nearest come first, in that order; what is nobody knows where comes last.

    Each facet counts as if its own filter were not set. The number of statements does not grow with it.

    :raises Invalid: if there is no such page, or no such facility to be near to
    """
    _check_page(page, page_size)
    offset = (page - 1) * page_size
    reach = distances.reach(session, near=filters.near, within_km=filters.within_km)
    found = _ask(session, filters, actor, locale, reach, limit=page_size, offset=offset, facets=facets)
    return Page(
        items=_items(session, found.ids),
        total=found.total,
        page=page,
        page_size=page_size,
        facets=_facets(session, filters, found.counts) if facets else {},
        km=reach.km if reach else {},
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


def _narrowed(filters: Filters, c: Any, reach: Reach | None = None) -> dict[str, ColumnElement[bool]]:
    """Give the condition of each filter that is set, by its name, on columns named as an instrument's."""
    makers: dict[str, Callable[[list[str]], ColumnElement[bool]]] = {
        "facility": lambda codes: c.facility_id.in_(select(Facility.id).where(Facility.code.in_(codes))),
        "region": lambda codes: c.facility_id.in_(select(Facility.id).where(_in_regions(codes))),
        "network": lambda codes: c.facility_id.in_(_members(codes)),
        "kind": lambda kinds: c.kind.in_([kind for kind in kinds if kind in vocabulary.KINDS]),
        # The classes are few: that an index gives the instruments of each beats to compare every instrument.
        "category": lambda codes: c.category_code.in_(select(Category.code).where(_below(codes))),
        "capability": lambda wanted: able(c.id, ",".join(wanted)),
    }
    found = {name: make(words) for name, make in makers.items() if (words := several(getattr(filters, name)))}
    if reach is not None and reach.within is not None:
        found["within_km"] = c.facility_id.in_(reach.near)
    return found


def several(text: str) -> list[str]:
    """Give the words of a filter, which have commas between."""
    return [word for part in text.split(",") if (word := part.strip())]


def _below(codes: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(Category.code.startswith(code, autoescape=True) for code in codes))


def _in_regions(codes: Iterable[str]) -> ColumnElement[bool]:
    """Say that a facility is in one of the regions; a code that ends in zeros is of all that is below it."""
    return or_(*(Facility.region_code.startswith(region_stem(code), autoescape=True) for code in codes))


def region_stem(code: str) -> str:
    """Give how the codes of all that lies in a region begin: two digits for a province, four for a city."""
    return code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code


def _members(codes: Iterable[str]) -> Select[int]:
    return (
        select(NetworkFacility.facility_id)
        .join(Network, Network.id == NetworkFacility.network_id)
        .where(Network.code.in_(codes))
    )


def able(instrument_id: Any, wanted: str) -> ColumnElement[bool]:
    """Say that an instrument has all abilities that are listed, within their limits."""
    return and_(*(_able(instrument_id, part) for part in needs.parts(wanted)))


def _able(instrument_id: Any, wanted: str) -> ColumnElement[bool]:
    need = needs.read(wanted)
    if need is None:
        return false()
    conditions = [Capability.instrument_id == instrument_id, Capability.tag == need.tag]
    if need.figure is not None:
        least = need.limit == needs.AT_LEAST
        conditions.append(Capability.value >= need.figure if least else Capability.value <= need.figure)
    return exists().where(*conditions)


# One statement


def _ask(
    session: Session,
    filters: Filters,
    actor: Actor,
    locale: str,
    reach: Reach | None,
    *,
    limit: int,
    offset: int,
    facets: bool,
) -> _Found:
    """Count and take the page in one statement, which reads the words of each hit once.

    Where all instruments are counted, their abilities are a statement of its own, and only where they are few.
    """
    found = words_of.words(filters.q)
    source = _hits(found, actor, locale) if found else _everything(actor)
    if reach is not None and reach.near:
        places = {place: number for number, place in enumerate(reach.near[:MOST_RANKED])}
        nearest = case(places, value=source.c.facility_id, else_=len(places))
        source = source._replace(order=(nearest, *source.order))
    narrowed = _narrowed(filters, source.c, reach)
    page = _page(source, [*narrowed.values()], limit, offset)
    parts = [_row("page", page.c.id, None, page.c.place)]
    apart = [test for name, test in narrowed.items() if name != "capability"]
    if facets:
        groups = _groups(source, narrowed)
        parts += _facet_rows(groups, filters, reach)
        if found:
            few = select(func.coalesce(_sum(groups), 0)).scalar_subquery() <= MOST_TAGGED
            parts.append(_tag_rows(source, [few, *apart]))
    else:
        parts.append(_total(source, narrowed))
    total, every, found_at = 0, 0, []
    counts: dict[str, dict[Any, int]] = {name: {} for name in _FACETS}
    for what, number, word, count in session.execute(union_all(*parts)):
        if what == "total":
            total = count
        elif what == "every":
            every = count
        elif what == "page":
            found_at.append((count, number))
        else:
            counts[what][word if number is None else number] = count
    if facets and not found and every <= MOST_TAGGED:
        for _, _, tag, count in session.execute(_tag_rows(source, apart)):
            counts["capability"][tag] = count
    return _Found(total, [place for _, place in sorted(found_at)], counts)


class _Source(NamedTuple):
    """Where hits come from: columns, the condition that stays to be asked, and their order."""

    c: Any
    where: list[ColumnElement[bool]]
    order: tuple[Any, ...]


def _everything(actor: Actor) -> _Source:
    """Take the instruments as they stand, so that an index gives the page; by code."""
    return _Source(Instrument, [instruments.visible(actor)], (Instrument.code,))


def _hits(found: Sequence[str], actor: Actor, locale: str) -> _Source:
    """Take those that have all the words: the texts are read once, whatever is counted of the hits."""
    hits = (
        select(
            Instrument.id,
            Instrument.facility_id,
            Instrument.kind,
            Instrument.category_code,
            _name(locale).label("name"),
            _rank(found).label("rank"),
        )
        .join(InstrumentText, InstrumentText.instrument_id == Instrument.id)
        .where(instruments.visible(actor), *holding(found))
        .cte("hits")
    )
    return _Source(hits.c, [], (hits.c.rank, hits.c.name, hits.c.id))


def _name(locale: str) -> ColumnElement[str]:
    """Give the name in the reader's language, or in the other one where it lacks."""
    if locale.startswith("zh"):
        return func.lower(Instrument.name_zh)
    return func.lower(func.coalesce(func.nullif(Instrument.name_en, ""), Instrument.name_zh))


def _rank(found: Sequence[str]) -> ColumnElement[int]:
    """Tell how well the words match: a whole name or code, its beginning, whole words, their beginnings."""
    whole = " ".join(found)
    text = InstrumentText.search_text
    names = [func.lower(name) for name in (Instrument.name_zh, Instrument.name_en, Instrument.code)]
    return case(
        # Most texts hold the words inside of others. They are told apart first, which spares their names.
        (not_(and_(*(holds(text, f" {word}") for word in found))), 4),
        *((name == whole, 0) for name in names),
        *((name.startswith(whole, autoescape=True), 1) for name in names),
        (and_(*(holds(text, f" {word} ") for word in found)), 2),
        else_=3,
    )


def _row(what: str, number: Any, word: Any, count: Any) -> Select[*tuple[Any, ...]]:
    """Give a row of the union: what it tells, of which id or word, how many."""
    return select(
        literal(what),
        null() if number is None else number,
        null() if word is None else type_coerce(word, String),
        count,
    )


def _page(source: _Source, conditions: Iterable[ColumnElement[bool]], limit: int, offset: int) -> Subquery:
    """Give the ids of the page with their places in the order."""
    few = (
        select(source.c.id, *(column.label(f"order_{i}") for i, column in enumerate(source.order)))
        .where(*source.where, *conditions)
        .order_by(*source.order)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    order = [few.c[f"order_{i}"] for i in range(len(source.order))]
    return select(few.c.id, func.row_number().over(order_by=order).label("place")).subquery()


def _total(source: _Source, narrowed: Mapping[str, ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    count = _row("total", None, None, func.count()).select_from(source.c.id.table)
    return count.where(*source.where, *narrowed.values())


def _groups(source: _Source, narrowed: Mapping[str, ColumnElement[bool]]) -> CTE:
    """Count the hits by facility, kind and class; of filters only abilities count here, which no group tells."""
    able = [narrowed["capability"]] if "capability" in narrowed else []
    columns = (source.c.facility_id, source.c.kind, source.c.category_code)
    query = select(*columns, func.count().label("number")).where(*source.where, *able)
    return query.group_by(*columns).cte("groups")


def _facet_rows(groups: CTE, filters: Filters, reach: Reach | None) -> list[Select[*tuple[Any, ...]]]:
    """Sum up what was counted for each facet without its own filter, and for the total with all.

    What tells of places is summed up by facility first, what tells of sorts by kind and class: two short lists.
    """
    by_place = replace(filters, kind="", category="", capability="")
    by_sort = Filters(kind=filters.kind, category=filters.category)
    places = _summed(groups, "places", ["facility_id"], _narrowed(by_sort, groups.c))
    sorts = _summed(groups, "sorts", ["kind", "category_code"], _narrowed(by_place, groups.c, reach))
    of_places = _narrowed(by_place, places.c, reach)
    of_sorts = _narrowed(by_sort, sorts.c)

    def others(name: str) -> list[ColumnElement[bool]]:
        tests = of_sorts if name in {"kind", "category"} else of_places
        return [test for other, test in tests.items() if other != name]

    home, member, number = places.c.facility_id, NetworkFacility.network_id, _sum(places)
    return [
        _row("every", None, None, func.coalesce(_sum(groups), 0)),
        _row("total", None, None, func.coalesce(number, 0)).where(*of_places.values()),
        _row("facility", home, None, places.c.number).where(*others("facility")),
        _row("network", member, None, number)
        .join(places, home == NetworkFacility.facility_id)
        .where(*others("network"))
        .group_by(member),
        _row("region", None, Facility.region_code, number)
        .join(places, home == Facility.id)
        .where(Facility.region_code != "", *others("region"))
        .group_by(Facility.region_code),
        _row("kind", None, sorts.c.kind, _sum(sorts)).where(*others("kind")).group_by(sorts.c.kind),
        _row("category", None, sorts.c.category_code, _sum(sorts))
        .where(sorts.c.category_code.is_not(None), *others("category"))
        .group_by(sorts.c.category_code),
    ]


def _summed(groups: CTE, name: str, by: list[str], tests: Mapping[str, ColumnElement[bool]]) -> CTE:
    columns = [groups.c[column] for column in by]
    return select(*columns, _sum(groups).label("number")).where(*tests.values()).group_by(*columns).cte(name)


def _sum(counted: CTE) -> ColumnElement[int]:
    return cast(func.sum(counted.c.number), BigInteger)  # PostgreSQL sums numbers into decimals


def _tag_rows(source: _Source, conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    """Count the hits by what they can do; the abilities of the hits are read, and not those of all."""
    hits = select(source.c.id).where(*source.where, *conditions)
    tagged = _row("capability", None, Capability.tag, func.count())
    return tagged.where(Capability.instrument_id.in_(hits)).group_by(Capability.tag)


# Facets

_MODELS: dict[str, type[Facility | Network]] = {"facility": Facility, "network": Network}
_FACETS = ("facility", "region", "network", "kind", "category", "capability")


def _facets(
    session: Session, filters: Filters, counts: Mapping[str, Mapping[Any, int]]
) -> dict[str, list[Facet]]:
    tags = sorted(counts["capability"], key=lambda tag: (-counts["capability"][tag], tag))
    chosen = {need.tag for part in needs.parts(filters.capability) if (need := needs.read(part))}
    named = _named(session, counts, filters)
    return {
        "facility": named["facility"],
        "region": regions(counts["region"]),
        "network": named["network"],
        "kind": [
            facet(kind, name, counts["kind"][kind])
            for kind, name in vocabulary.KINDS.items()
            if kind in counts["kind"]
        ],
        "category": _classes(session, counts["category"]),
        "capability": [
            facet(tag, vocabulary.ability_name(tag), counts["capability"][tag])
            for i, tag in enumerate(tags)
            if i < MOST_CAPABILITIES or tag in chosen
        ],
    }


def _named(
    session: Session, counts: Mapping[str, Mapping[int, int]], filters: Filters
) -> dict[str, list[Facet]]:
    """Give the largest facilities and networks, and those that are asked for, by code; one statement for both."""
    parts = []
    for name, model in _MODELS.items():
        found = sorted(counts[name].items(), key=lambda one: (-one[1], one[0]))
        most = [place for place, _ in found[:MOST_CHOICES]]
        chosen = model.code.in_(several(getattr(filters, name)))
        query = select(literal(name), model.id, model.code.label("code"), model.name_zh, model.name_en)
        parts.append(query.where(or_(model.id.in_(most), chosen)))
    facets: dict[str, list[Facet]] = {name: [] for name in _MODELS}
    every = union_all(*parts).subquery()
    for name, place, code, zh, en in session.execute(select(every).order_by(every.c.code)):
        if place in counts[name]:
            facets[name].append(Facet(code, zh, en, counts[name][place]))
    return facets


def regions(counts: Mapping[str, int]) -> list[Facet]:
    """Give the regions that have a name, by code."""
    known = [code for code in sorted(counts) if code in vocabulary.REGIONS]
    return [facet(code, vocabulary.REGIONS[code], counts[code]) for code in known]


def _classes(session: Session, counts: Mapping[str, int]) -> list[Facet]:
    """Give large classes with all that is below them, and middle ones."""
    sums: dict[str, int] = {}
    for code, count in counts.items():
        for key in {code[:2], code[:4]}:
            sums[key] = sums.get(key, 0) + count
    query = select(Category.code, Category.name_zh, Category.name_en).where(Category.code.in_(sums))
    rows = session.execute(query.order_by(Category.code))
    return [Facet(code, zh, en, sums[code]) for code, zh, en in rows]


def facet(key: str, name: Term, count: int) -> Facet:
    """Make a facet of a word of ours."""
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
