"""The checker itself: it finds every seeded fault, and raises no alarm at a good history."""

import random
from collections import defaultdict

import pytest

from tests.races.history import Final, Operation, faults

A, B = ("x", 1), ("x", 2)


def take(key, start, end, outcome="ok", slot=A, because="taken", booking=None):
    why = because if outcome == "fail" else ""
    return Operation(
        "take", key, slot, start, end, outcome, None, booking or (key if outcome == "ok" else None), why
    )


def release(key, start, end, outcome="ok", slot=A):
    return Operation("release", key, slot, start, end, outcome)


def final(holders, *keys, **more):
    return Final({slot: list(k) for slot, k in holders.items()}, {k: ["booking.placed"] for k in keys} | more)


INF = float("inf")


@pytest.mark.parametrize(
    ("history", "end"),
    [
        ([take("a", 0, 1)], final({A: "a"}, "a")),
        ([take("a", 0, 1), take("b", 2, 3, "fail")], final({A: "a"}, "a")),
        ([take("a", 0, 9), take("b", 1, 2, "fail")], final({A: "a"}, "a")),
        ([take("a", 0, INF, "info"), take("b", 1, 2, "fail")], final({A: "a"}, "a")),
        ([take("a", 0, INF, "info")], final({})),
        ([take("a", 0, INF, "info")], final({A: "a"}, "a")),
        ([take("a", 0, 1), release("a", 2, 3), take("b", 2, 3)], final({A: "b"}, "a", "b")),
        ([take("a", 0, 1), release("a", 2, INF, "info")], final({}, "a")),
        ([take("a", 0, 1), take("a", 2, 3)], final({A: "a"}, "a")),
    ],
)
def test_good_histories_pass(history, end):
    assert faults(history, end) == []


@pytest.mark.parametrize(
    ("history", "end", "said"),
    [
        ([take("a", 0, 1), take("b", 0, 1)], final({A: "ab"}, "a", "b"), "holders"),
        ([take("a", 0, 1), take("b", 2, 3)], final({A: "b"}, "a", "b"), "at once"),
        ([take("a", 0, 1)], final({}, "a"), "no order"),
        ([take("a", 0, 1, "fail", because="closed")], final({A: "a"}, "a"), "no order"),
        ([take("a", 0, 1, "fail")], final({}), "nobody could hold"),
        ([take("a", 0, 1), release("a", 2, 3), take("b", 4, 5, "fail")], final({}, "a"), "nobody could hold"),
        ([take("a", 0, 1), release("a", 2, 3)], final({A: "a"}, "a"), "no order"),
        (
            [take("a", 0, 1, booking="p"), take("a", 2, 3, booking="q")],
            final({A: "a"}, "p", "q"),
            "2 bookings",
        ),
        ([take("a", 0, 1)], final({A: "a"}), "no trace"),
        ([take("a", 0, 1)], final({A: "a"}, a=["booking.placed"] * 2), "was placed by"),
    ],
)
def test_every_seeded_fault_is_found(history, end, said):
    assert any(said in fault for fault in faults(history, end)), faults(history, end)


def simulate(seed: int, flaw: str = ""):
    """Run clients against a calendar that is right, but for the flaw: what they saw, the end, the faults."""
    flawed = 0
    dice = random.Random(seed)
    holders: dict = {}
    kinds: dict = defaultdict(list)
    history, clock, mine = [], 0.0, {}
    for n in range(60):
        slot = dice.choice([A, B])
        clock += 1
        invoked, completed = clock, clock + 1 + dice.random() * 3  # takes effect at once, answers later
        clock += dice.random() * 2
        unknown = dice.random() < 0.1
        answered = [key for key, (_, at) in mine.items() if at < invoked]
        if answered and dice.random() < 0.4:
            key = dice.choice(answered)
            held, _ = mine.pop(key)
            lost = unknown and dice.random() < 0.5
            if not lost:
                holders.pop(held, None)
            history.append(
                release(key, invoked, INF if unknown else completed, "info" if unknown else "ok", held)
            )
            continue
        key = f"k{n}"
        free = slot not in holders
        if flaw == "double" and not free and not unknown and dice.random() < 0.3:
            free, flawed = True, flawed + 1
        if flaw == "false refusal" and free and dice.random() < 0.2:
            flawed += 1
            history.append(take(key, invoked, completed, "fail", slot))
            continue
        if not free:
            history.append(take(key, invoked, completed, "fail", slot))
            continue
        if unknown and dice.random() < 0.5:
            history.append(take(key, invoked, INF, "info", slot))
            continue
        if flaw == "lost" and not unknown and dice.random() < 0.3:
            flawed += 1
        else:
            holders[slot] = key
        kinds[key].append("booking.placed")
        mine[key] = slot, INF if unknown else completed
        history.append(take(key, invoked, INF if unknown else completed, "info" if unknown else "ok", slot))
    return history, Final({slot: [key] for slot, key in holders.items()}, kinds), flawed


def test_no_false_alarm_in_many_good_runs():
    for seed in range(150):
        history, end, _ = simulate(seed)
        assert faults(history, end) == [], seed


@pytest.mark.parametrize("flaw", ["double", "lost", "false refusal"])
def test_a_flaw_does_not_stay_hidden(flaw):
    """Some single faults hide behind answers that overlap in time; of the runs that have any, most are caught."""
    runs = [simulate(seed, flaw) for seed in range(80)]
    wrong = [(history, end) for history, end, flawed in runs if flawed]
    assert len(wrong) > 50
    assert sum(bool(faults(history, end)) for history, end in wrong) >= 0.8 * len(wrong)
