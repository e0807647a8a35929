"""Facets: every count is what choosing it would leave, whatever is chosen beside it."""

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.facets import ALL_OF, Traits, passes, tally

NAMES = ("kind", "place", "terms")
KEYS = st.frozensets(st.sampled_from("abc"), max_size=3)
CHOICES = st.fixed_dictionaries(dict.fromkeys(NAMES, KEYS))
THINGS = st.lists(CHOICES, max_size=12).map(lambda all_: [Traits(i, of) for i, of in enumerate(all_)])


def passing(things, chosen):
    return [
        thing.key
        for thing in things
        if all(passes(name, wanted, thing) for name, wanted in chosen.items() if wanted)
    ]


@given(THINGS, CHOICES)
def test_counts_are_what_a_choice_would_leave(things, chosen):
    found = tally(things, chosen)
    assert found.passing == passing(things, chosen)
    for name in NAMES:
        for key in "abc":
            asked = chosen[name] | {key} if name in ALL_OF else frozenset({key})
            assert found.counts.get(name, {}).get(key, 0) == len(passing(things, {**chosen, name: asked}))
        without = passing(things, {**chosen, name: frozenset()})
        assert found.without[name] == len(without) - len(found.passing)
