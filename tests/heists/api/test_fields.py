"""The fields of requests: months, times and booleans."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from heists.api.fields import MonthField, StrictBooleanField, require_month, utc_isoformat
from heists.models import Heist
from heists.services import execute_heist
from tests.factories import player, rewrite
from tests.heists.api.answers import URL

MARCH, APRIL, MAY = (dt.date(2026, month, 1) for month in (3, 4, 5))


@pytest.mark.parametrize("month", ["2026-01", "2026-09", "2026-10", "2026-12", "0001-01", "9999-12"])
def test_a_month_is_read_as_it_is_written(month: str) -> None:
    read = MonthField().to_internal_value(month)

    assert read == dt.date(int(month[:4]), int(month[5:]), 1)
    assert MonthField().to_representation(dt.date(2026, 3, 31)) == "2026-03"


@pytest.mark.parametrize(
    "month",
    [
        *("2026-00", "2026-13", "2026-3", "2026-031", "2026-03-01", "2026-03\n", " 2026-03", "202603", "0000-01"),
        *("\u0662\u0660\u0662\u0666-03", 202603, 2026.03, None, True, [], {}, b"2026-03"),
    ],
    ids=repr,
)
def test_what_is_no_month_is_invalid(month: Any) -> None:
    with pytest.raises(ValidationError) as invalid:
        MonthField().to_internal_value(month)

    assert invalid.value.get_codes() == ["invalid_month"]


@pytest.mark.parametrize(("month", "code"), [("2026-02", "month_too_early"), ("2026-06", "future_month")])
def test_a_month_is_from_the_first_to_the_current_one(month: str, code: str) -> None:
    for inside in (MARCH, APRIL, MAY):
        require_month(inside, first=MARCH, current=MAY)

    with pytest.raises(ValidationError) as invalid:
        require_month(dt.date.fromisoformat(f"{month}-01"), first=MARCH, current=MAY)

    assert invalid.value.get_codes() == {"month": code}


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, "true", "false", "on", "", None, [], {}], ids=repr)
def test_only_true_and_false_are_booleans(value: Any) -> None:
    assert [StrictBooleanField().run_validation(boolean) for boolean in (True, False)] == [True, False]
    with pytest.raises(ValidationError):
        StrictBooleanField().run_validation(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), "2026-03-02T12:00:00Z"),
        (dt.datetime(2026, 3, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=13))), "2026-03-01T12:00:00Z"),
        (dt.datetime(2026, 3, 2, 12, 0, 0, 5, tzinfo=dt.UTC), "2026-03-02T12:00:00.000005Z"),
    ],
)
def test_a_time_is_written_in_utc(value: dt.datetime | None, text: str | None) -> None:
    assert utc_isoformat(value) == text


@pytest.mark.django_db
def test_a_time_without_an_offset_is_in_utc(signed_in: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    me = player(tokens=1)
    heist = execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)
    rewrite(heist, created_at=dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC))
    client = signed_in(me)

    def found(**query: str) -> int:
        return len(client.get(URL, query).json()["results"])

    assert [found(created_after=f"2026-03-02T{time}") for time in ("11:59:59", "12:00:00", "12:00:01")] == [1, 1, 0]
    assert [found(created_before=f"2026-03-02T{time}") for time in ("11:59:59", "12:00:00", "12:00:01")] == [0, 0, 1]


@pytest.mark.django_db
def test_the_current_month_is_that_of_the_sites_time_zone(
    signed_in: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(player())
    settings.TIME_ZONE = "Pacific/Auckland"
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))

    body = client.get(f"{URL}leaderboard/").json()

    assert (body["month"], body["since"], body["until"]) == (
        "2026-04",
        "2026-03-31T11:00:00Z",
        "2026-04-30T12:00:00Z",
    )
    assert client.get(f"{URL}leaderboard/", {"month": "2026-04"}).json() == body
    assert not Heist.objects.exists()
