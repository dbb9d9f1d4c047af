"""Truces against the calendar and the heists: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from .rows import DAY, HOUR, MICRO, NOW, SECOND, blocked, found, heist, rejected, rule_set, truce

# NOW is in May.
APRIL, MAY, JUNE, JULY = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (4, 5, 6, 7))


@pytest.mark.parametrize(
    ("starts", "ends", "wrong"),
    [
        (JUNE, None, False),
        (JUNE, JULY, False),
        (JUNE, JUNE, False),
        # The beginning of June in Tokyo, which was in force once.
        (JUNE - 9 * HOUR, JULY - 9 * HOUR, False),
        (JUNE, JULY - 9 * HOUR, False),
        (JUNE + MICRO, None, True),
        (JUNE - MICRO, None, True),
        (JUNE, JULY + MICRO, True),
        (JUNE + DAY, JULY, True),
        # The beginning of June in Auckland, which never was.
        (JUNE - 12 * HOUR, None, True),
    ],
)
def test_a_truce_starts_and_ends_with_a_month_of_a_zone_that_was_in_force(
    people: SimpleNamespace, starts: dt.datetime, ends: dt.datetime | None, wrong: bool
) -> None:
    rule_set(), rule_set(time_zone="Asia/Tokyo")
    row = truce(people.alice, starts, ends)
    truce(people.bob, JUNE, JULY)

    reported = [f"truce {row.pk}, player {people.alice.pk}: starts_at {starts}, ends_at {ends}"]
    assert found("truce_month") == (reported if wrong else [])


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ((MAY, JUNE), (JUNE, None), False),
        ((MAY, JULY), (JUNE, None), True),
        ((MAY, JUNE + MICRO), (JUNE, JULY), True),
        ((MAY, None), (JUNE, JULY), True),
        # Withdrawn before it began.
        ((MAY, None), (JUNE, JUNE), False),
        ((MAY, MAY), (MAY + MICRO, None), False),
    ],
)
def test_no_two_truces_of_a_player_are_in_force_at_once(
    people: SimpleNamespace,
    first: tuple[dt.datetime, dt.datetime | None],
    second: tuple[dt.datetime, dt.datetime | None],
    overlap: bool,
) -> None:
    rule_set()
    later, earlier = truce(people.alice, *second), truce(people.alice, *first)
    # Of another player.
    truce(people.bob, MAY, None)

    reported = (
        f"truce {earlier.pk}, player {people.alice.pk}, other {later.pk}: starts_at {first[0]}, ends_at {first[1]}"
    )
    assert found("truce_overlap") == ([reported] if overlap else [])


@pytest.mark.parametrize("role", ["attacker", "victim"])
@pytest.mark.parametrize(
    ("starts", "ends", "at", "inside"),
    [
        (MAY, None, NOW, True),
        (MAY, JUNE, NOW, True),
        (MAY, JUNE, JUNE - MICRO, True),
        (MAY, JUNE, JUNE, False),
        # Whatever else is wrong with its end.
        (MAY, NOW, NOW, False),
        (MAY, NOW + MICRO, NOW, True),
        (MAY, None, MAY - MICRO, False),
        # A host whose clock was behind may have recorded the wish after a heist in the first second of the month.
        (MAY, None, MAY, False),
        (MAY, None, MAY + SECOND - MICRO, False),
        (MAY, None, MAY + SECOND, True),
        # Or let the truce continue.
        (APRIL, JUNE, MAY + SECOND - MICRO, False),
        (APRIL, JUNE, MAY + SECOND, True),
        (MAY, MAY, MAY + SECOND, False),
        (JUNE, None, NOW, False),
    ],
)
def test_an_outcome_in_a_truce_of_either_side_is_reported(
    people: SimpleNamespace, role: str, starts: dt.datetime, ends: dt.datetime | None, at: dt.datetime, inside: bool
) -> None:
    on, off = rule_set(), rule_set(truce_enabled=False)
    owner = people.alice if role == "attacker" else people.bob
    row = truce(owner, starts, ends)
    truce(people.dora, APRIL, None)
    success, block = heist(people.alice, people.bob, on, at), blocked(people.alice, people.bob, on, at)
    rejected(people.alice, people.bob, on, at)
    heist(people.alice, people.bob, off, at)
    heist(people.carol, people.carol, on, at)

    expected = [
        f"heist {one.pk}, truce {row.pk}, player {owner.pk}: status {one.status}, created_at {at}, "
        f"starts_at {starts}, ends_at {ends}"
        for one in (success, block)
    ]
    assert found("truce_broken") == (sorted(expected) if inside else [])


def test_of_several_truces_that_overlap_one_the_earliest_is_named(people: SimpleNamespace) -> None:
    rule_set()
    first = truce(people.alice, APRIL)
    truce(people.alice, JUNE, JULY)
    second = truce(people.alice, MAY, JUNE)

    assert found("truce_overlap") == [
        f"truce {first.pk}, player {people.alice.pk}, other {second.pk}: starts_at {APRIL}, ends_at None"
    ]
