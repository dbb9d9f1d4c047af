"""The settings of the example host are checked."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured

from gamification import conf


def messages() -> list[CheckMessage]:
    return [message for message in run_checks(databases=[]) if (message.id or "").startswith("gamification.")]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"REFERRAL_MEMBER_HOURS": 0, "REFERRAL_EARNED_POINTS": 10**9, "REFERRAL_MONTHLY_CAP": 0},
        {"REFERRAL_MEMBER_HOURS": 87_840, "REFERRAL_MONTHLY_CAP": None},
    ],
)
def test_right_settings(settings: Any, values: dict[str, Any]) -> None:
    settings.GAMIFICATION = values

    assert messages() == []
    conf.referral_conditions()


def test_without_the_dictionary_a_referral_is_paid_at_once(settings: Any) -> None:
    del settings.GAMIFICATION

    assert messages() == []
    assert conf.referral_conditions().pays_at_sign_up


def test_e001_no_dictionary(settings: Any) -> None:
    settings.GAMIFICATION = ["REFERRAL_MEMBER_HOURS"]

    assert [message.id for message in messages()] == ["gamification.E001"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("REFERRAL_MEMBER_HOURS", -1, "from 0 to 87840; the default is 0"),
        ("REFERRAL_MEMBER_HOURS", 87_841, "from 0 to 87840; the default is 0"),
        ("REFERRAL_MEMBER_HOURS", "24", "from 0 to 87840; the default is 0"),
        ("REFERRAL_MEMBER_HOURS", None, "from 0 to 87840; the default is 0"),
        ("REFERRAL_EARNED_POINTS", True, "from 0 to 1000000000; the default is 0"),
        ("REFERRAL_EARNED_POINTS", 10**9 + 1, "from 0 to 1000000000; the default is 0"),
        ("REFERRAL_MONTHLY_CAP", 1.5, "from 0 to 1000000000; the default is None"),
        ("REFERRAL_MONTHLY_CAP", -1, "from 0 to 1000000000; the default is None"),
    ],
)
def test_e002_a_value_that_is_out_of_range(settings: Any, key: str, value: Any, says: str) -> None:
    settings.GAMIFICATION = {key: value}

    (message,) = messages()
    assert (message.id, message.msg) == ("gamification.E002", f'GAMIFICATION["{key}"] is {value!r}.')
    assert message.hint == f"Write a whole number {says}."
    with pytest.raises(ImproperlyConfigured, match=key):
        conf.referral_conditions()


def test_w001_an_unknown_key(settings: Any) -> None:
    settings.GAMIFICATION = {"REFERRAL_HOURS": 24}

    (message,) = messages()
    assert message.id == "gamification.W001" and "'REFERRAL_HOURS'" in message.msg
