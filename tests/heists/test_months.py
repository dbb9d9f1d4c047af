"""Months and days begin at the earliest instant whose local date lies in them, in every time zone."""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from heists.rules import (
    LONGEST_MONTH,
    Loss,
    Rules,
    Victim,
    day_start,
    loss_left,
    month_after,
    month_of,
    month_start,
    next_month,
)

MINUTE = dt.timedelta(minutes=1)
YEARS = range(2015, 2031)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC)


def by_walking(zone: ZoneInfo, date: dt.date) -> dt.datetime:
    """Walk minute by minute to the first whose local date is `date` or later: the oracle."""
    at = dt.datetime.combine(date, dt.time(), dt.UTC) - dt.timedelta(hours=30)
    while at.astimezone(zone).date() < date:
        at += MINUTE
    return at


def clock_changes_around(zone: ZoneInfo, date: dt.date) -> bool:
    noon = dt.datetime.combine(date, dt.time(), dt.UTC)
    return len({(noon + dt.timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in range(-30, 31, 2)}) > 1


@cache
def boundaries() -> list[tuple[str, dt.date]]:
    """Return every first day of a month, in every zone, around which the clock is changed."""
    firsts = [dt.date(year, month, 1) for year in YEARS for month in range(1, 13)]
    return [
        (name, first)
        for name in sorted(available_timezones())
        for first in firsts
        if clock_changes_around(ZoneInfo(name), first)
    ]


def test_every_month_in_which_a_clock_is_changed_around_the_first_day() -> None:
    assert ("America/Havana", dt.date(2026, 11, 1)) in boundaries()
    for name, first in boundaries():
        start, rules = by_walking(ZoneInfo(name), first), Rules(time_zone=name)

        for later in (dt.timedelta(), MINUTE, dt.timedelta(hours=1, minutes=30), dt.timedelta(hours=3)):
            assert month_start(rules, start + later) == start, (name, first, later)
            assert month_of(name, start + later) == first, (name, first, later)
        for earlier in (dt.timedelta(microseconds=1), MINUTE, dt.timedelta(hours=2)):
            assert next_month(rules, start - earlier) == start, (name, first, earlier)
            assert month_start(rules, start - earlier) < start - earlier
            assert month_after(month_of(name, start - earlier)) == first
        assert start - month_start(rules, start - MINUTE) <= LONGEST_MONTH


@pytest.mark.parametrize(
    ("zone", "date", "start"),
    [
        ("America/Havana", dt.date(2026, 11, 1), utc(2026, 11, 1, 4)),  # midnight comes twice
        ("America/Sao_Paulo", dt.date(2018, 11, 4), utc(2018, 11, 4, 3)),  # no midnight
        ("Asia/Beirut", dt.date(2024, 3, 31), utc(2024, 3, 30, 22)),
        ("Africa/Cairo", dt.date(2024, 4, 26), utc(2024, 4, 25, 22)),
        ("Pacific/Apia", dt.date(2011, 12, 30), utc(2011, 12, 30, 10)),  # no such day
        ("Pacific/Apia", dt.date(2011, 12, 31), utc(2011, 12, 30, 10)),
        ("America/St_Johns", dt.date(2009, 11, 1), utc(2009, 11, 1, 2, 30)),  # set back over midnight
        ("UTC", dt.date(2026, 1, 1), utc(2026, 1, 1)),
    ],
)
def test_days_without_a_midnight_and_with_two(zone: str, date: dt.date, start: dt.datetime) -> None:
    assert day_start(zone, date) == start == by_walking(ZoneInfo(zone), date)


def test_a_month_that_began_does_not_end_where_the_clock_is_set_back_out_of_it() -> None:
    # In 2009 St. John's set its clock at 00:01 on the first of November back to 23:01 of the day before.
    rules, began = Rules(time_zone="America/St_Johns"), utc(2009, 11, 1, 2, 30)
    in_october_again = utc(2009, 11, 1, 3, 0)
    assert in_october_again.astimezone(ZoneInfo(rules.time_zone)).date() == dt.date(2009, 10, 31)

    assert month_start(rules, in_october_again) == began
    assert month_of(rules.time_zone, in_october_again) == dt.date(2009, 11, 1)
    assert next_month(rules, in_october_again) == by_walking(ZoneInfo(rules.time_zone), dt.date(2009, 12, 1))


def test_the_loss_limit_counts_both_of_a_repeated_hour_on_the_first() -> None:
    rules = Rules(time_zone="America/Havana", monthly_loss_percent=10)
    first_hour, second_hour = utc(2026, 11, 1, 4, 30), utc(2026, 11, 1, 5, 30)

    victim = Victim(1, True, 910, (Loss(90, first_hour),))

    assert loss_left(rules, victim, second_hour) == 10


class Skipping(dt.tzinfo):
    """A clock that is set forward by an hour, from 23:40:07 over midnight."""

    CHANGE = utc(2026, 3, 1, 23, 40).replace(tzinfo=None, second=7)
    HOUR = dt.timedelta(hours=1)

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        local = (when or self.CHANGE).replace(tzinfo=None)
        later = local >= self.CHANGE + self.HOUR or (local >= self.CHANGE and bool(when and when.fold))
        return self.HOUR if later else dt.timedelta()

    def tzname(self, when: dt.datetime | None) -> str:
        return "Skipping"

    def dst(self, when: dt.datetime | None) -> dt.timedelta:
        return self.utcoffset(when)

    def fromutc(self, when: dt.datetime) -> dt.datetime:
        return when + (self.HOUR if when.replace(tzinfo=None) >= self.CHANGE else dt.timedelta())


def test_a_day_whose_midnight_is_skipped_begins_at_the_second_of_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.rules.ZoneInfo", lambda name: Skipping())

    assert day_start("Nowhere/Skipping", dt.date(2026, 3, 2)) == Skipping.CHANGE.replace(tzinfo=dt.UTC)
    assert day_start("Nowhere/Skipping", dt.date(2026, 3, 1)) == utc(2026, 3, 1)
