from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Warning, run_checks

from heists.checks.settings import check_settings
from heists.conf import DEFAULTS, SETTINGS

NUMBERS = [key for key, value in DEFAULTS.items() if isinstance(value, int) and not isinstance(value, bool)]


@pytest.fixture
def heists_are(settings: Any) -> Any:
    def judge(**changed: Any) -> list[CheckMessage]:
        settings.HEISTS = {**settings.HEISTS, **changed}
        return list(check_settings())

    return judge


def test_the_example_site_is_well_formed() -> None:
    assert list(check_settings()) == []


@pytest.mark.parametrize("key", NUMBERS)
def test_every_number_has_a_range_and_its_default_lies_in_it(key: str) -> None:
    least, most = SETTINGS[key].minimum, SETTINGS[key].maximum

    assert least is not None and most is not None
    assert least <= DEFAULTS[key] <= most


def test_e001_heists_that_are_no_dictionary(settings: Any) -> None:
    settings.HEISTS = ["ECONOMY"]

    assert list(check_settings()) == [
        Error(
            "HEISTS is not a dictionary.",
            hint='Write HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.',
            id="heists.E001",
        )
    ]


@pytest.mark.parametrize("value", [-1, 24 * 366 + 1, "24", 1.5, True, None])
def test_e004_a_number_of_the_wrong_type_or_out_of_range(heists_are: Any, value: Any) -> None:
    assert heists_are(COOLDOWN_HOURS=value) == [
        Error(
            f'HEISTS["COOLDOWN_HOURS"] is {value!r}.',
            hint="Write a whole number from 0 to 8784; the default is 24.",
            id="heists.E004",
        )
    ]


@pytest.mark.parametrize("value", [-1, "1", True])
def test_e004_proxies_are_a_number_too(heists_are: Any, value: Any) -> None:
    assert heists_are(TRUSTED_PROXIES=value) == [
        Error(
            f'HEISTS["TRUSTED_PROXIES"] is {value!r}.',
            hint="Write a whole number from 0 to 100; the default is 0.",
            id="heists.E004",
        )
    ]


@pytest.mark.parametrize(("share", "percentage"), [(0.05, 5), (0.5, 50), (0.001, 1)])
def test_e005_a_share_instead_of_a_percentage(heists_are: Any, share: float, percentage: int) -> None:
    assert heists_are(STEAL_PERCENTAGE=share) == [
        Error(
            f'HEISTS["STEAL_PERCENTAGE"] is {share!r}, a share instead of a percentage.',
            hint=f"Did you mean {percentage}?",
            id="heists.E005",
        )
    ]


@pytest.mark.parametrize("key", ["ENABLED", "EMAIL_ENABLED"])
def test_e006_a_switch_that_is_text(heists_are: Any, key: str) -> None:
    assert heists_are(**{key: "false"}) == [
        Error(f"HEISTS[\"{key}\"] is 'false'.", hint="Write True or False, without quotes.", id="heists.E006")
    ]


@pytest.mark.parametrize("label", ["gamification.Nothing", "nothing"])
def test_e007_an_event_type_model_that_is_not_installed(heists_are: Any, label: Any) -> None:
    assert heists_are(POINT_EVENT_TYPE_MODEL=label) == [
        Error(
            f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which is not an installed model.',
            hint='Write "app_label.ModelName", or leave the key out if your site has no table of event types.',
            id="heists.E007",
        )
    ]


def test_e007_an_event_type_model_without_names(heists_are: Any) -> None:
    assert heists_are(POINT_EVENT_TYPE_MODEL="gamification.PlayerProfile") == [
        Error(
            'HEISTS["POINT_EVENT_TYPE_MODEL"] is \'gamification.PlayerProfile\', which has no field "name".',
            hint="Leave the key out; your economy writes its events itself.",
            id="heists.E007",
        )
    ]


def test_e008_a_cache_that_is_not_there(heists_are: Any) -> None:
    assert heists_are(THROTTLE_CACHE="redis") == [
        Error(
            "HEISTS[\"THROTTLE_CACHE\"] is 'redis', which is not in CACHES.",
            hint=f"Write one of: {', '.join(sorted(settings.CACHES))}.",
            id="heists.E008",
        )
    ]


def test_e009_use_tz_is_off(settings: Any) -> None:
    settings.USE_TZ = False

    assert list(check_settings()) == [
        Error(
            "USE_TZ is off; cooldowns and protection would change with daylight saving time.",
            hint="Write USE_TZ = True.",
            id="heists.E009",
        )
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere.deliver", "No module named 'nowhere'"),
        ("deliver", "deliver doesn't look like a module path"),
        ("heists.__version__", "it can't be called"),
    ],
)
def test_e016_a_delivery_that_can_not_be_called(heists_are: Any, path: str, reason: str) -> None:
    assert heists_are(EMAIL_DELIVERY=path) == [
        Error(
            f'HEISTS["EMAIL_DELIVERY"] = {path!r} can\'t be used: {reason}',
            hint="Write the dotted path of a function that takes a list of email keys, or leave the key out.",
            id="heists.E016",
        )
    ]


def test_e017_a_site_without_a_scheme(heists_are: Any) -> None:
    assert heists_are(SITE_URL="example.com") == [
        Error(
            "HEISTS[\"SITE_URL\"] is 'example.com'.",
            hint='Write it with its scheme: "https://example.com".',
            id="heists.E017",
        )
    ]


@pytest.mark.parametrize(
    "key", ["ECONOMY", "POINT_EVENT_TYPE_MODEL", "THROTTLE_CACHE", "EMAIL_FROM", "EMAIL_DELIVERY", "SITE_URL"]
)
@pytest.mark.parametrize("value", [5, True, ["default"]])
def test_e018_a_text_of_another_type(heists_are: Any, key: str, value: Any) -> None:
    assert heists_are(**{key: value}) == [
        Error(f'HEISTS["{key}"] is {value!r}.', hint="Write a text, in quotes.", id="heists.E018")
    ]


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_value_of_the_wrong_type_is_reported_by_one_check(settings: Any, key: str) -> None:
    settings.HEISTS = {**settings.HEISTS, key: 1.5}

    messages = run_checks(tags=["heists"], include_deployment_checks=True, databases=[])

    about_key = [message for message in messages if f'HEISTS["{key}"]' in message.msg]
    assert [message.id for message in about_key if message.level == ERROR] in (
        [["heists.E004"], ["heists.E006"], ["heists.E018"]]
    )


@pytest.mark.parametrize("key", ["COOLDOWN_HOUR", "cooldown_hours", "HEIST_COOLDOWN_HOURS"])
def test_w001_a_key_that_is_nearly_right(heists_are: Any, key: str) -> None:
    assert heists_are(**{key: 1}) == [
        Warning(f"HEISTS has an unknown key: {key!r}.", hint="Did you mean 'COOLDOWN_HOURS'?", id="heists.W001")
    ]


def test_w001_a_key_like_no_other(heists_are: Any) -> None:
    assert heists_are(ZZZ=1) == [
        Warning(
            "HEISTS has an unknown key: 'ZZZ'.", hint=f"The keys are: {', '.join(sorted(DEFAULTS))}.", id="heists.W001"
        )
    ]


@pytest.mark.parametrize("key", NUMBERS)
def test_a_range_has_both_its_ends(heists_are: Any, key: str) -> None:
    least, most = SETTINGS[key].minimum, SETTINGS[key].maximum
    assert least is not None and most is not None

    assert heists_are(**{key: least}) == heists_are(**{key: most}) == []
    for value in (least - 1, most + 1):
        assert [message.id for message in heists_are(**{key: value})] == ["heists.E004"]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_e004_what_is_no_share_is_no_percentage_either(heists_are: Any, share: float) -> None:
    assert [message.id for message in heists_are(STEAL_PERCENTAGE=share)] == ["heists.E004"]


def test_w001_keys_that_are_no_text(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, 1: 2, "ZZZ": 3, None: 4}

    assert [message.msg for message in check_settings()] == [
        f"HEISTS has an unknown key: {key!r}." for key in ("ZZZ", 1, None)
    ]


@pytest.mark.parametrize("site", ["httpx://example.com", "ftp://example.com", "//example.com"])
def test_e017_another_scheme(heists_are: Any, site: str) -> None:
    assert [message.id for message in heists_are(SITE_URL=site)] == ["heists.E017"]


@pytest.mark.parametrize("site", ["http://example.com", "https://example.com/"])
def test_both_schemes_of_the_web_are_right(heists_are: Any, site: str) -> None:
    assert heists_are(SITE_URL=site) == []


def test_e016_a_path_without_a_module(heists_are: Any) -> None:
    assert [message.id for message in heists_are(EMAIL_DELIVERY=".deliver")] == ["heists.E016"]
