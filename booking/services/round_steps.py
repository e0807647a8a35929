"""Steps of a wish in a round: what a process asks one after the other, and where a plan puts each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from booking.domain.rules import Invalid
from booking.domain.spans import Span
from models import RoundPin, RoundStepInstrument, RoundWish, RoundWishStep

MOST_STEPS = 6
LONGEST_LAG = 60 * 24 * 60
QUARTER = 15
USUAL_LAG = (0, 24 * 60)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step: so many minutes on any of some instruments, those liked best first.

    It begins between `lag[0]` and `lag[1]` minutes after the end of the step before it; of the first that says nothing.
    """

    minutes: int
    instrument_ids: tuple[int, ...]
    lag: tuple[int, int] = USUAL_LAG


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan puts a wish, or the first step of it; its further steps follow."""

    instrument_id: int
    starts_at: datetime
    ends_at: datetime
    following: tuple["Place", ...] = ()

    @property
    def steps(self) -> tuple["Place", ...]:
        """Give the places of all steps."""
        return (self, *self.following)

    @property
    def whole(self) -> Span:
        """Give the time from the start of the first step to the end of the last."""
        return Span(self.starts_at, self.steps[-1].ends_at)


def stages(wish: RoundWish) -> list[Stage]:
    """Give the steps of a wish in their order."""
    first = Stage(wish.minutes, tuple(one.instrument_id for one in wish.choices))
    return [
        first,
        *(
            Stage(
                step.minutes,
                tuple(one.instrument_id for one in step.choices),
                (step.lag_least, step.lag_most),
            )
            for step in wish.following
        ),
    ]


def total(wish: RoundWish) -> int:
    """Give the minutes of use of all steps."""
    return sum(stage.minutes for stage in stages(wish))


def wanted(wish: RoundWish) -> set[int]:
    """Give the instruments that any step names."""
    return {place for stage in stages(wish) for place in stage.instrument_ids}


def placed(wish: RoundWish, found: Iterable[tuple[int, datetime]]) -> Place:
    """Give the place of a wish whose steps go to these instruments at these times."""
    first, *rest = [
        Place(instrument_id, start, start + timedelta(minutes=stage.minutes))
        for stage, (instrument_id, start) in zip(stages(wish), found, strict=True)
    ]
    return Place(first.instrument_id, first.starts_at, first.ends_at, tuple(rest))


def place_of(wish: RoundWish) -> Place | None:
    """Give where the published draft puts a wish."""
    found = [(wish.instrument_id, wish.starts_at)]
    found += [(step.instrument_id, step.starts_at) for step in wish.following]
    known = [(place, start) for place, start in found if place is not None and start is not None]
    return placed(wish, known) if len(known) == len(found) else None


def settled(pin: RoundPin) -> list[tuple[int, datetime]]:
    """Give where the further steps of a wish go that is settled."""
    return [(int(str(place)), datetime.fromisoformat(str(start))) for place, start in pin.following]


def put(wish: RoundWish, place: Place | None) -> None:
    """Write where a draft puts a wish; None: nowhere."""
    wish.instrument_id = place.instrument_id if place else None
    wish.starts_at = place.starts_at if place else None
    for number, step in enumerate(wish.following):
        one = place.following[number] if place else None
        step.instrument_id, step.starts_at = (one.instrument_id, one.starts_at) if one else (None, None)


def rows(following: Sequence[Stage]) -> list[RoundWishStep]:
    """Give the rows of the steps after the first."""
    return [
        RoundWishStep(
            position=position,
            minutes=stage.minutes,
            lag_least=stage.lag[0],
            lag_most=stage.lag[1],
            choices=[
                RoundStepInstrument(instrument_id=place, rank=rank)
                for rank, place in enumerate(stage.instrument_ids)
            ],
        )
        for position, stage in enumerate(following, 1)
    ]


def check(first: Stage, following: Sequence[Stage], within: Span) -> None:
    """Tell whether the steps make sense together.

    :raises Invalid: naming what does not
    """
    errors: dict[str, str] = {}
    if len(following) >= MOST_STEPS:
        errors["following"] = "too_large"
    for number, stage in enumerate(following):
        here = f"following.{number}"
        if not stage.instrument_ids:
            errors[f"{here}.instruments"] = "required"
        if stage.minutes < QUARTER or stage.minutes % QUARTER:
            errors[f"{here}.minutes"] = "out_of_range"
        least, most = stage.lag
        if not 0 <= least <= most <= LONGEST_LAG or least % QUARTER or most % QUARTER:
            errors[f"{here}.lag"] = "out_of_range"
    shortest = first.minutes + sum(stage.minutes + stage.lag[0] for stage in following)
    if not errors and timedelta(minutes=shortest) > within.duration:
        errors["window"] = "too_small"
    if errors:
        raise Invalid(errors)


def check_place(wish: RoundWish, place: Place) -> None:
    """Tell whether a place is one that the wish names: its instruments, its window, its lags.

    :raises Invalid: naming what it is not
    """
    window = Span(wish.window_starts_at, wish.window_ends_at)
    before: Place | None = None
    for stage, one in zip(stages(wish), place.steps, strict=True):
        if one.instrument_id not in stage.instrument_ids:
            raise Invalid({"instrument_id": "unknown"})
        if not window.contains(Span(one.starts_at, one.ends_at)):
            raise Invalid({"start": "outside_window"})
        if before is not None:
            lag = Span(before.ends_at, one.starts_at).minutes
            if not stage.lag[0] <= lag <= stage.lag[1]:
                raise Invalid({"following": "out_of_range"})
        before = one
