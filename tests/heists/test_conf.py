"""Settings at run time: a value of the wrong type raises."""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import lazystr

from heists import conf
from heists.rules import Rules

# One wrong value that looks right, for each kind of setting.
WRONG = {bool: "false", int: "1", str: 1, type(None): 1}
# Keys of Rules, which are read together.
RULES = {key for key in conf.SETTINGS if key.lower() in Rules.__dataclass_fields__}
FUNCTIONS = {"ECONOMY": "economy", "EMAIL_LEASE_SECONDS": "email_lease", "EMAIL_RETRY_SECONDS": "email_retry"}


def reader(key: str) -> Any:
    """The function that reads this key."""
    name = "rules" if key in RULES else FUNCTIONS.get(key, key.lower().removesuffix("_days"))
    return getattr(conf, name)


@pytest.mark.parametrize("key", conf.SETTINGS)
def test_a_value_of_the_wrong_type_raises_and_names_the_key(settings: Any, key: str) -> None:
    value = WRONG[type(conf.SETTINGS[key].default)]
    reader(key)()
    settings.HEISTS = {**settings.HEISTS, key: value}

    with pytest.raises(ImproperlyConfigured, match=rf'HEISTS\["{key}"\] must be .*, not {value!r}'):
        reader(key)()


@pytest.mark.parametrize("key", [key for key, setting in conf.SETTINGS.items() if type(setting.default) is int])
def test_true_is_no_number(settings: Any, key: str) -> None:
    settings.HEISTS = {**settings.HEISTS, key: True}

    with pytest.raises(ImproperlyConfigured):
        reader(key)()


def test_every_function_is_for_a_key() -> None:
    found = [value for value in vars(conf).values() if inspect.isfunction(value) and value.__module__ == conf.__name__]
    functions = {function.__name__ for function in found if not function.__name__.startswith("_")}

    assert functions - {"raw"} == {reader(key).__name__ for key in conf.SETTINGS}


def test_settings_that_are_no_dictionary(settings: Any) -> None:
    settings.HEISTS = ["ENABLED"]

    with pytest.raises(ImproperlyConfigured, match="HEISTS must be a dictionary"):
        conf.enabled()


@pytest.mark.parametrize(("key", "read"), [("SITE_URL", conf.site_url), ("EMAIL_DELIVERY", conf.email_delivery)])
@pytest.mark.parametrize("value", [None, ""])
def test_an_optional_text_may_be_none_or_empty(settings: Any, key: str, read: Any, value: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, key: value}

    assert not read()


def test_a_lazy_text_is_text(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "EMAIL_FROM": lazystr("Game <game@example.com>")}

    assert conf.email_from() == "Game <game@example.com>"


@pytest.mark.parametrize(
    ("key", "read", "value"),
    [
        ("RATE_LIMIT_PER_MINUTE", conf.rate_limit_per_minute, 7),
        ("READ_RATE_LIMIT_PER_MINUTE", conf.read_rate_limit_per_minute, 7),
        ("TRUSTED_PROXIES", conf.trusted_proxies, 7),
        ("EMAIL_MAX_ATTEMPTS", conf.email_max_attempts, 7),
        ("EMAIL_LEASE_SECONDS", conf.email_lease, dt.timedelta(seconds=7)),
        ("EMAIL_RETRY_SECONDS", conf.email_retry, dt.timedelta(seconds=7)),
        ("RETENTION_READ_DAYS", conf.retention_read, dt.timedelta(days=7)),
        ("RETENTION_UNREAD_DAYS", conf.retention_unread, dt.timedelta(days=7)),
        ("RETENTION_ADDRESS_DAYS", conf.retention_address, dt.timedelta(days=7)),
    ],
)
def test_each_function_reads_its_own_key(settings: Any, key: str, read: Any, value: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, key: 7}

    assert read() == value


@pytest.mark.parametrize("site", ["https://game.example", "https://game.example/", "https://game.example//"])
def test_the_site_has_no_slash_at_its_end(settings: Any, site: str) -> None:
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": site}

    assert conf.site_url() == "https://game.example"


@pytest.mark.parametrize("value", ["", None])
def test_without_a_sender_it_is_djangos(settings: Any, value: str | None) -> None:
    settings.DEFAULT_FROM_EMAIL = "site@example.com"
    settings.HEISTS = {**settings.HEISTS, "EMAIL_FROM": value}

    assert conf.email_from() == "site@example.com"


@pytest.mark.parametrize("key", ["THROTTLE_CACHE", "EMAIL_DELIVERY"])
def test_only_a_text_whose_default_is_empty_may_be_none(settings: Any, key: str) -> None:
    assert conf.SETTINGS[key].has_type(None) == (key == "EMAIL_DELIVERY")
