"""The states of a booking and every move between them."""

import enum


class State(enum.StrEnum):
    """Where a booking stands."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked_in"
    ENDED = "ended"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no_show"


class Action(enum.StrEnum):
    """What can happen to a booking."""

    APPROVE = "approve"
    REJECT = "reject"
    CHANGE = "change"
    RESUBMIT = "resubmit"
    CANCEL = "cancel"
    EXPIRE = "expire"
    CHECK_IN = "check_in"
    CHECK_OUT = "check_out"
    MISS = "miss"
    COME = "come"


MOVES: dict[tuple[State, Action], State] = {
    (State.REQUESTED, Action.APPROVE): State.CONFIRMED,
    (State.REQUESTED, Action.REJECT): State.REJECTED,
    (State.REQUESTED, Action.CHANGE): State.REQUESTED,
    (State.REQUESTED, Action.CANCEL): State.WITHDRAWN,
    (State.REQUESTED, Action.EXPIRE): State.EXPIRED,
    (State.CONFIRMED, Action.CHANGE): State.CONFIRMED,
    (State.CONFIRMED, Action.RESUBMIT): State.REQUESTED,
    (State.CONFIRMED, Action.CANCEL): State.CANCELLED,
    (State.CONFIRMED, Action.CHECK_IN): State.CHECKED_IN,
    (State.CONFIRMED, Action.MISS): State.NO_SHOW,
    (State.NO_SHOW, Action.COME): State.CONFIRMED,
    (State.CHECKED_IN, Action.CHANGE): State.CHECKED_IN,
    (State.CHECKED_IN, Action.CHECK_OUT): State.ENDED,
}
"""The only place that knows what may follow what."""

HOLDS = frozenset({State.REQUESTED, State.CONFIRMED, State.CHECKED_IN, State.ENDED})
"""The states that keep their rows in the ledger of time. An ended booking keeps the time that it used."""


class WrongMove(Exception):
    """An action that the booking's state does not allow."""

    def __init__(self, state: State, action: Action) -> None:
        """Remember both for the answer."""
        super().__init__(f"{action.value} from {state.value}")
        self.state = state
        self.action = action


def after(state: State, action: Action) -> State:
    """Give the state that follows.

    :raises WrongMove: if the action is not possible in this state
    """
    try:
        return MOVES[state, action]
    except KeyError:
        raise WrongMove(state, action) from None


def possible(state: State) -> frozenset[Action]:
    """Give all that may happen next."""
    return frozenset(action for (before, action) in MOVES if before == state)
