"""Routes against brute force: lags, distances on an instrument, changeovers, shared utilities."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain.resolution import bits, routes
from booking.domain.resolution.problem import Utility
from booking.domain.resolution.routes import Fixed, Option, Stage

SLOTS = 18
FAMILIES = ("", "a", "b")


@st.composite
def stages(draw):
    found = []
    for _ in range(draw(st.integers(1, 3))):
        numbers = draw(st.lists(st.integers(0, 2), min_size=1, max_size=2, unique=True))
        least = draw(st.integers(0, 2))
        options = tuple(
            Option(number, draw(st.integers(0, 2**SLOTS - 1)), draw(st.integers(1, 3))) for number in numbers
        )
        found.append(
            Stage(options, (least, least + draw(st.integers(0, 8))), draw(st.sampled_from(FAMILIES)))
        )
    return found


GAPS = st.fixed_dictionaries({(a, b): st.integers(0, 5) for a in FAMILIES for b in FAMILIES})


def legal(chosen, steps, gap):
    """Say whether places keep every rule, told independently of the solver."""
    runs = []
    for (option, start), stage in zip(chosen, steps, strict=True):
        if runs and not runs[-1][2] + stage.lag[0] <= start <= runs[-1][2] + stage.lag[1]:
            return False
        for number, _begin, end, family in runs:
            later = [run for run in runs if run[0] == number and run[1] >= end and run[3]]
            if number == option.instrument and not later and start < end + gap[family, stage.family]:
                return False
        runs.append((option.instrument, start, start + option.duration, stage.family))
    return True


@settings(max_examples=300)
@given(stages(), GAPS)
def test_the_earliest_route_is_that_of_brute_force(steps, gap):
    choices = [
        [(option, slot) for option in stage.options for slot in bits.ascending(option.starts)]
        for stage in steps
    ]
    ends = [
        chosen[-1][1] + chosen[-1][0].duration
        for chosen in product(*(some[:14] for some in choices))
        if legal(chosen, steps, gap)
    ]
    narrow = [
        Stage(
            tuple(
                Option(
                    option.instrument,
                    sum(1 << slot for one, slot in some[:14] if one is option),
                    option.duration,
                )
                for option in stage.options
            ),
            stage.lag,
            stage.family,
        )
        for stage, some in zip(steps, choices, strict=True)
    ]
    found = routes.earliest(narrow, apart=lambda _instrument, before, after: gap[before, after])
    if not ends:
        assert found is None
        return
    assert found is not None
    by_number = [{one.instrument: one for one in stage.options} for stage in narrow]
    chosen = [(known[number], slot) for known, (number, slot) in zip(by_number, found, strict=True)]
    assert all(option.starts >> slot & 1 for option, slot in chosen)
    assert legal(chosen, narrow, gap)
    assert routes.ends_at(narrow, found) == min(ends)


def test_a_route_waits_between_its_steps_no_longer_than_it_may():
    always = 2**40 - 1
    late = always & ~bits.of_span(0, 20)
    steps = [Stage((Option(0, always, 4),)), Stage((Option(1, late, 2),), (0, 3))]
    assert routes.earliest(steps) == ((0, 16), (1, 20))
    assert routes.earliest([steps[0], Stage((Option(1, 1 << 3, 2),), (0, 3))]) is None


def test_two_steps_on_one_instrument_with_another_between_keep_their_changeover():
    always = 2**40 - 1
    steps = [
        Stage((Option(0, always, 2),), family="a"),
        Stage((Option(1, always, 1),), (0, 30)),
        Stage((Option(0, always, 2),), (0, 30), family="b"),
    ]
    assert routes.earliest(steps, apart=lambda *_: 6) == ((0, 0), (1, 2), (0, 8))


@given(
    st.lists(
        st.tuples(st.integers(0, 16), st.integers(1, 3), st.sampled_from(FAMILIES)),
        max_size=4,
        unique_by=lambda one: one[0] // 4,
    ),
    st.sampled_from(FAMILIES),
    GAPS,
    st.integers(1, 3),
)
def test_changeovers_look_at_the_neighbours_alone(known, family, minutes, duration):
    fixed = [Fixed(start // 4 * 4, start // 4 * 4 + length, theirs) for start, length, theirs in known]
    barred = routes.apart_from(fixed, family, minutes)
    busy = bits.of_spans((one.start, one.end) for one in fixed)
    found = bits.runs(bits.of_span(0, 24) & ~busy & ~barred, duration)
    for slot in bits.ascending(bits.runs(bits.of_span(0, 24) & ~busy, duration)):
        before = [one for one in fixed if one.family and one.end <= slot]
        after = [one for one in fixed if one.family and one.start >= slot + duration]
        left = max(before, key=lambda one: one.end, default=None)
        right = min(after, key=lambda one: one.start, default=None)
        kept = not family or (
            (left is None or slot >= left.end + minutes[left.family, family])
            and (right is None or slot + duration <= right.start - minutes[family, right.family])
        )
        assert bool(found >> slot & 1) == kept


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(1, 5)), max_size=5),
    st.integers(0, 6),
)
def test_a_utility_is_too_full_where_less_is_left(taken, amount):
    utility = Utility(6, tuple((start, start + length, drawn) for start, length, drawn in taken))
    full = routes.too_full(utility, amount, 30)
    for slot in range(30):
        drawn = sum(a for start, end, a in utility.taken if start <= slot < end)
        assert bool(full >> slot & 1) == (drawn + amount > 6)
