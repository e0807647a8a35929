"""Alternatives against brute force by the referee's own rule, and what each of them says of itself."""

import datetime as dt
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.resolution import alternatives
from booking.domain.resolution.alternatives import LEAST_PART, Taken, Why
from booking.domain.resolution.check import feasible
from booking.domain.resolution.problem import Instrument, Pool, Step, Wish

HORIZON = 30
START = dt.date(2026, 9, 21)


@st.composite
def windows(draw):
    edges = sorted(draw(st.sets(st.integers(0, HORIZON), max_size=6)))
    touching = draw(st.booleans())
    pairs = pairwise(edges) if touching else zip(edges[::2], edges[1::2], strict=False)
    return tuple(pairs)


@st.composite
def instruments(draw):
    blocked = draw(st.lists(st.tuples(st.integers(0, HORIZON - 1), st.integers(1, 4)), max_size=3))
    return Instrument(
        staffed=draw(st.one_of(windows(), st.just(((0, HORIZON),)))),
        blocked=tuple(sorted((start, min(HORIZON, start + length)) for start, length in blocked)),
        clean=draw(st.integers(0, 2)),
        site=draw(st.integers(0, 1)),
        rate=draw(st.integers(0, 3)) * 400,
    )


CASES = st.tuples(
    st.lists(instruments(), min_size=2, max_size=4),
    st.integers(0, HORIZON - 4),
    st.integers(1, 8),
    st.booleans(),
)


def asked(case):
    found, start, duration, attended = case
    pool = Pool(START, HORIZON, tuple(found), ())
    taken = Taken(0, start, min(duration, HORIZON - start), attended, tuple(range(1, len(found))))
    return found, alternatives.board(pool), taken


def starts(instrument, taken):
    step = Step(taken.duration, ((0, 0),), attended=taken.attended)
    return [slot for slot in range(HORIZON) if feasible(instrument, step, slot, (0, HORIZON))]


@given(CASES)
def test_nearest_equal_and_cheaper_are_those_of_brute_force(case):
    found, board, taken = asked(case)

    def price(number):
        return (found[number].rate - found[0].rate) * taken.duration / 4

    def distance(number):
        return 1 if found[number].site == found[0].site else 2

    nearest = sorted(
        (slot for slot in starts(found[0], taken) if slot != taken.start),
        key=lambda slot: (abs(slot - taken.start), slot),
    )[:3]
    assert [offer.parts[0][1] for offer in alternatives.nearest(board, taken)] == nearest

    then = [n for n in taken.equals if taken.start in starts(found[n], taken)]
    then.sort(key=lambda n: (price(n), distance(n), n))
    assert [offer.parts[0][0] for offer in alternatives.equal(board, taken)] == then

    near = []
    for number in taken.equals:
        own = sorted(starts(found[number], taken), key=lambda slot: (abs(slot - taken.start), slot))
        near += [(price(number), abs(own[0] - taken.start), distance(number), number, own[0])] if own else []
    cheapest = [(number, slot) for _, _, _, number, slot in sorted(near)[:3]]
    assert [offer.parts[0][:2] for offer in alternatives.cheaper(board, taken)] == cheapest


@given(CASES)
def test_a_shorter_use_is_the_longest_that_fits(case):
    found, board, taken = asked(case)
    fitting = [
        (length, -slot)
        for length in range(LEAST_PART, taken.duration)
        for slot in range(taken.start, taken.start + taken.duration - length + 1)
        if feasible(found[0], Step(length, ((0, 0),), attended=taken.attended), slot, (taken.start, HORIZON))
    ]
    offers = alternatives.shorter(board, taken)
    whole = Step(taken.duration, ((0, 0),), attended=taken.attended)
    if feasible(found[0], whole, taken.start, (0, HORIZON)):
        return  # it was not taken at all
    if not fitting:
        assert not offers
        return
    length, slot = max(fitting)
    assert offers[0].parts == ((0, -slot, length),)
    assert offers[0].lost == taken.duration - length


@given(CASES)
def test_a_split_use_is_done_as_early_as_possible_in_as_few_parts(case):
    found, board, taken = asked(case)
    one = found[0]
    pieces = list(alternatives._uses(board, 0, taken.start, HORIZON, attended=True))
    room = [
        (a, min([b, *(start - one.clean for start, _ in pieces if start > a)])) for a, b in pieces
    ]  # cleaned before the next window begins
    best = None
    for count in (2, 3):
        for chosen in combinations(room, count):
            before = sum(b - a for a, b in chosen[:-1])
            start, end = chosen[-1]
            rest = max(LEAST_PART, taken.duration - before)
            if (
                all(b - a >= LEAST_PART for a, b in chosen)
                and start + rest <= end
                and LEAST_PART * (count - 1) + rest <= taken.duration
            ):
                best = min(start + rest, best or HORIZON)
        if best is not None:
            break
    (offer,) = alternatives.split(board, taken) or (None,)
    assert (offer.parts[-1][1] + offer.parts[-1][2] if offer else None) == best
    if offer:
        assert len(offer.parts) == count
        assert sum(length for _, _, length in offer.parts) == taken.duration
        for (_, start, length), (_, after, _) in zip(offer.parts, offer.parts[1:], strict=False):
            assert start + length + one.clean <= after
        for _, start, length in offer.parts:
            assert feasible(one, Step(length, ((0, 0),)), start, (0, HORIZON))


def test_offers_are_ranked_and_say_how_far_they_are_from_the_wish():
    day = ((0, HORIZON),)
    pool = Pool(
        START,
        HORIZON,
        (
            Instrument(day, blocked=((8, 14),), rate=400, kind="dryer", site=1),
            Instrument(day, rate=800, kind="dryer", site=1),
            Instrument(day, blocked=((0, 20),), rate=100, kind="dryer", site=2),
            Instrument(day, rate=100, kind="mill", site=1),
        ),
        (),
    )
    board = alternatives.board(pool)
    taken = Taken(0, 10, 4, equals=board.equal_to(0))
    offers = alternatives.alternatives(board, taken)
    told = [
        (offer.why, offer.parts, offer.shift, offer.distance, offer.price, offer.lost) for offer in offers
    ]
    assert told[0] == (Why.NEAREST, ((0, 14, 4),), 4, 0, 0, 0)
    assert (Why.EQUAL, ((1, 10, 4),), 0, 1, 400, 0) in told
    assert (Why.CHEAPER, ((2, 20, 4),), 10, 2, -300, 0) in told
    assert [offer.trouble for offer in offers] == sorted(offer.trouble for offer in offers)


def test_a_plan_and_its_cleaning_take_their_slots():
    one = Instrument(((0, HORIZON),), clean=2)
    wish = Wish((Step(4, ((0, 0),)),), (0, HORIZON), 1)
    board = alternatives.board(Pool(START, HORIZON, (one,), (wish,)), {0: ((0, 10),)})
    free = set(range(HORIZON)) - set(range(10 - 2 - 2 + 1, 16))
    wanted = [slot for slot in range(HORIZON - 1) if slot in free]
    assert [slot for slot in range(HORIZON) if board.starts(0, 2, attended=True) >> slot & 1] == wanted
