"""The states of a booking."""

import pytest

from booking.domain.lifecycle import HOLDS, MOVES, Action, State, WrongMove, after, possible


def test_every_state_can_be_reached():
    reached = {State.REQUESTED, State.CONFIRMED} | set(MOVES.values())
    assert reached == set(State)


def test_no_way_leads_back_from_a_state_that_gave_its_time_away_but_for_who_came_after_all():
    back = {(before, action) for (before, action), to in MOVES.items() if before not in HOLDS and to in HOLDS}
    assert back == {(State.NO_SHOW, Action.COME)}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
def test_a_move_is_in_the_table_or_refused(state, action):
    if action in possible(state):
        assert after(state, action) is MOVES[state, action]
    else:
        with pytest.raises(WrongMove) as refused:
            after(state, action)
        assert (refused.value.state, refused.value.action) == (state, action)
