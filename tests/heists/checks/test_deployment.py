from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import ERROR, Warning
from django.test import override_settings

from heists.checks import deployment


def test_w009_rest_framework_is_not_installed(settings: Any) -> None:
    without = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]

    with override_settings(INSTALLED_APPS=without):
        found = list(deployment.check_installed())

    assert found == [
        Warning(
            "rest_framework is not in INSTALLED_APPS; the API of heists needs its templates and translations.",
            hint='Add "rest_framework" to INSTALLED_APPS.',
            id="heists.W009",
        )
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https")), ("USE_X_FORWARDED_HOST", True)],
)
def test_w010_a_proxy_that_is_not_trusted(settings: Any, setting: str, value: Any) -> None:
    setattr(settings, setting, value)

    assert list(deployment.check_proxies()) == [
        Warning(
            f'{setting} means that there is a proxy, but HEISTS["TRUSTED_PROXIES"] is 0: heists store the '
            "proxy's address.",
            hint='Write the number of proxies that append to X-Forwarded-For: HEISTS = {"TRUSTED_PROXIES": 1}.',
            id="heists.W010",
        )
    ]


def test_w011_proxies_are_counted_twice(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "somewhere.SetRemoteAddrFromForwardedFor"]
    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": 2}

    assert list(deployment.check_proxies()) == [
        Warning(
            'somewhere.SetRemoteAddrFromForwardedFor rewrites REMOTE_ADDR, and HEISTS["TRUSTED_PROXIES"] is 2: proxies '
            "are counted twice.",
            hint='Use one of the two: remove the middleware, or write HEISTS = {"TRUSTED_PROXIES": 0}.',
            id="heists.W011",
        )
    ]


@pytest.mark.parametrize(
    ("backend", "how"),
    [
        ("dummy.DummyCache", "counts nothing"),
        ("locmem.LocMemCache", "counts in each process separately"),
        ("filebased.FileBasedCache", "loses counts of simultaneous requests"),
        ("db.DatabaseCache", "loses counts of simultaneous requests"),
    ],
)
def test_w014_a_cache_that_miscounts(settings: Any, backend: str, how: str) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}

    assert list(deployment.check_cache()) == [
        Warning(
            f'CACHES["default"] is {backend.partition(".")[2]}, which {how}; more requests pass than '
            'HEISTS["RATE_LIMIT_PER_MINUTE"] says.',
            hint='Count in Redis or Memcached, and name that cache: HEISTS = {"THROTTLE_CACHE": "…"}.',
            id="heists.W014",
        )
    ]


def test_w014_is_about_the_cache_that_counts(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache"},
    }
    settings.HEISTS = {**settings.HEISTS, "THROTTLE_CACHE": "redis"}

    assert list(deployment.check_cache()) == []


@pytest.fixture
def emails(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "heists@example.com"
    settings.HEISTS = {**settings.HEISTS, "EMAIL_ENABLED": True, "SITE_URL": "https://example.com"}


@pytest.mark.parametrize("name", ["console", "dummy", "filebased", "locmem"])
@pytest.mark.usefixtures("emails")
def test_w015_a_backend_that_sends_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_mail_backend", lambda: f"django.core.mail.backends.{name}.EmailBackend")

    assert list(deployment.check_mail()) == [
        Warning(
            f"Emails are enabled, but django.core.mail.backends.{name}.EmailBackend does not send them.",
            hint='Configure a mail server, or write HEISTS = {"EMAIL_ENABLED": False}.',
            id="heists.W015",
        )
    ]


@pytest.mark.usefixtures("emails")
def test_w017_emails_without_links(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": ""}
    monkeypatch.setattr(deployment, "_mail_backend", lambda: "django.core.mail.backends.smtp.EmailBackend")

    assert list(deployment.check_mail()) == [
        Warning(
            "Emails have no links, so players can't unsubscribe by a click: HEISTS has no SITE_URL.",
            hint='Write HEISTS = {"SITE_URL": "https://example.com"}.',
            id="heists.W017",
        )
    ]


@pytest.mark.parametrize(
    "templates",
    [
        [],
        [{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        [{"BACKEND": "django.template.backends.jinja2.Jinja2", "APP_DIRS": True}],
    ],
    ids=["none", "without APP_DIRS", "Jinja alone"],
)
@pytest.mark.usefixtures("emails")
def test_e019_email_templates_that_are_not_found(settings: Any, templates: Any) -> None:
    settings.TEMPLATES = templates

    (message,) = deployment.check_templates()

    assert (message.id, message.level) == ("heists.E019", ERROR)
    assert message.msg.startswith("heists/email/heist_success_subject.txt can't be loaded, so emails can't be sent: ")
    assert message.hint == (
        'Add the backend "django.template.backends.django.DjangoTemplates" with "APP_DIRS": True to TEMPLATES, or '
        'write HEISTS = {"EMAIL_ENABLED": False}.'
    )


@pytest.mark.usefixtures("emails")
def test_e019_a_template_of_the_host_with_a_fault(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "heists" / "email").mkdir(parents=True)
    (tmp_path / "heists" / "email" / "shield_expired.html").write_text("{% nonsense %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    (message,) = deployment.check_templates()

    assert message.id == "heists.E019"
    assert message.msg.startswith("heists/email/shield_expired.html can't be loaded, so emails can't be sent: ")


@pytest.mark.parametrize("urlconf", ["without_heists", "captured", "captured_inside_a_namespace"])
@pytest.mark.usefixtures("emails")
def test_w020_no_url_for_unsubscribing(settings: Any, urlconf: str) -> None:
    settings.ROOT_URLCONF = f"tests.heists.emails.urlconfs.{urlconf}"

    assert list(deployment.check_links()) == [
        Warning(
            "Emails have no links: heists.urls is not included, or only under a prefix that captures a value.",
            hint=(
                'Include it under a fixed prefix: path("heists/", include("heists.urls")). Beside another include it '
                'needs a namespace of its own: include("heists.urls", namespace="heists-email").'
            ),
            id="heists.W020",
        )
    ]


@pytest.mark.usefixtures("emails")
def test_links_and_templates_of_the_example_site_are_right(settings: Any) -> None:
    assert list(deployment.check_links()) == list(deployment.check_templates()) == []


def test_a_site_without_emails_needs_no_mail_server(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "webmaster@localhost"
    settings.HEISTS = {**settings.HEISTS, "EMAIL_ENABLED": False}

    settings.TEMPLATES = []
    settings.ROOT_URLCONF = "tests.heists.emails.urlconfs.without_heists"

    assert list(deployment.check_mail()) == list(deployment.check_templates()) == list(deployment.check_links()) == []


def test_the_mail_backend_is_the_one_that_django_uses() -> None:
    # The test runner replaces whatever the site configured.
    assert deployment._mail_backend().endswith(".EmailBackend")


@pytest.mark.parametrize("setting", ["SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST"])
def test_one_trusted_proxy_is_enough(settings: Any, setting: str) -> None:
    setattr(settings, setting, ("HTTP_X_FORWARDED_PROTO", "https"))
    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": 1}

    assert list(deployment.check_proxies()) == []


@pytest.mark.parametrize(
    "name", ["XForwardedForMiddleware", "RemoteAddrFromHeader", "SetRemoteAddr", "RealIPMiddleware"]
)
def test_w011_middleware_is_known_by_its_name_and_counts_only_beside_trusted_proxies(settings: Any, name: str) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"somewhere.{name}"]
    assert list(deployment.check_proxies()) == []

    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": 1}
    assert [message.id for message in deployment.check_proxies()] == ["heists.W011"]


def test_a_cache_that_is_not_there_is_reported_by_its_own_check(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.HEISTS = {**settings.HEISTS, "THROTTLE_CACHE": "gone"}

    assert list(deployment.check_cache()) == []


@pytest.mark.parametrize("name", ["email/heist_victim_subject.txt", "email/shield_expired.txt", "unsubscribe.html"])
@pytest.mark.usefixtures("emails")
def test_e019_each_template_is_loaded(settings: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "heists" / "email").mkdir(parents=True)
    (tmp_path / "heists" / name).write_text("{% nonsense %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert [message.msg.partition(" ")[0] for message in deployment.check_templates()] == [f"heists/{name}"]


@pytest.mark.usefixtures("emails")
def test_links_need_a_site_and_urls_that_can_be_imported(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = "tests.heists.emails.urlconfs.without_heists"
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": ""}
    assert list(deployment.check_links()) == []

    def broken(token: str) -> str:
        raise ValueError("a fault in the URLconf")

    settings.HEISTS = {**settings.HEISTS, "SITE_URL": "https://example.com"}
    monkeypatch.setattr(deployment, "unsubscribe_path", broken)
    assert list(deployment.check_links()) == []
