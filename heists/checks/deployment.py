"""Checks the rest of the site's settings: apps, proxies, middleware, cache, email."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.template.loader import get_template

from .. import conf
from ..choices import HeistNotificationType
from ..emails.compose import unsubscribe_path
from .settings import well_formed

# Caches of one process, and caches whose `incr` is a read and then a write.
MISCOUNTING = {
    "django.core.cache.backends.dummy.DummyCache": "counts nothing",
    "django.core.cache.backends.locmem.LocMemCache": "counts in each process separately",
    "django.core.cache.backends.filebased.FileBasedCache": "loses counts of simultaneous requests",
    "django.core.cache.backends.db.DatabaseCache": "loses counts of simultaneous requests",
}
# Backends that send nothing.
SILENT_MAIL = {f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased", "locmem")}
# What `emails.compose` renders, and the page that its links lead to.
EMAIL_TEMPLATES = [
    f"heists/email/{type.lower()}{kind}" for type in HeistNotificationType for kind in ("_subject.txt", ".txt", ".html")
] + ["heists/unsubscribe.html"]
# Words in the names of middleware that overwrites REMOTE_ADDR from a header.
REWRITERS = ("XForwardedFor", "RemoteAddrFrom", "SetRemoteAddr", "RealIP")


def check_installed(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that Django REST Framework is installed as an app."""
    if not apps.is_installed("rest_framework"):
        yield Warning(
            "rest_framework is not in INSTALLED_APPS; the API of heists needs its templates and translations.",
            hint='Add "rest_framework" to INSTALLED_APPS.',
            id="heists.W009",
        )


def check_proxies(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that each proxy in front of the API is counted once."""
    trusted = conf.trusted_proxies() if well_formed("TRUSTED_PROXIES") else 0
    behind = [name for name in ("SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST") if getattr(settings, name)]
    if trusted == 0 and behind:
        yield Warning(
            f'{behind[0]} means that there is a proxy, but HEISTS["TRUSTED_PROXIES"] is 0: heists store '
            "the proxy's address.",
            hint='Write the number of proxies that append to X-Forwarded-For: HEISTS = {"TRUSTED_PROXIES": 1}.',
            id="heists.W010",
        )
    rewriter = next((path for path in settings.MIDDLEWARE if any(word in path for word in REWRITERS)), None)
    if trusted and rewriter:
        yield Warning(
            f'{rewriter} rewrites REMOTE_ADDR, and HEISTS["TRUSTED_PROXIES"] is {trusted!r}: proxies are counted '
            "twice.",
            hint='Use one of the two: remove the middleware, or write HEISTS = {"TRUSTED_PROXIES": 0}.',
            id="heists.W011",
        )


def check_cache(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that the cache that counts requests is shared by all workers."""
    alias = conf.throttle_cache() if well_formed("THROTTLE_CACHE") else "default"
    backend = str(settings.CACHES.get(alias, {}).get("BACKEND", ""))
    if backend in MISCOUNTING:
        yield Warning(
            f'CACHES["{alias}"] is {backend.rpartition(".")[2]}, which {MISCOUNTING[backend]}; more requests pass than '
            'HEISTS["RATE_LIMIT_PER_MINUTE"] says.',
            hint='Count in Redis or Memcached, and name that cache: HEISTS = {"THROTTLE_CACHE": "…"}.',
            id="heists.W014",
        )


def check_mail(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that emails are sent and have links, where emails are enabled."""
    if not _emails_enabled():
        return
    if (backend := _mail_backend()) in SILENT_MAIL:
        yield Warning(
            f"Emails are enabled, but {backend} does not send them.",
            hint='Configure a mail server, or write HEISTS = {"EMAIL_ENABLED": False}.',
            id="heists.W015",
        )
    if not conf.site_url():
        yield Warning(
            "Emails have no links, so players can't unsubscribe by a click: HEISTS has no SITE_URL.",
            hint='Write HEISTS = {"SITE_URL": "https://example.com"}.',
            id="heists.W017",
        )


def check_templates(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that every template of an email can be loaded, where emails are enabled."""
    for name in EMAIL_TEMPLATES if _emails_enabled() else ():
        try:
            get_template(name)
        except Exception as error:
            yield Error(
                f"{name} can't be loaded, so emails can't be sent: {type(error).__name__}: {error}",
                hint=(
                    'Add the backend "django.template.backends.django.DjangoTemplates" with "APP_DIRS": True to '
                    'TEMPLATES, or write HEISTS = {"EMAIL_ENABLED": False}.'
                ),
                id="heists.E019",
            )
            return


def check_links(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that emails have a link for unsubscribing, where they should."""
    if not _emails_enabled() or not conf.site_url():
        return
    try:
        found = unsubscribe_path("token")
    except Exception:
        # The URLconf can't be imported, which Django's own checks report.
        return
    if not found:
        yield Warning(
            "Emails have no links: heists.urls is not included, or only under a prefix that captures a value.",
            hint=(
                'Include it under a fixed prefix: path("heists/", include("heists.urls")). Beside another include it '
                'needs a namespace of its own: include("heists.urls", namespace="heists-email").'
            ),
            id="heists.W020",
        )


def _emails_enabled() -> bool:
    return well_formed("EMAIL_ENABLED", "SITE_URL") and conf.email_enabled()


def _mail_backend() -> str:
    # Django 6.1 moves the mail settings into MAILERS, and rejects the old ones beside it.
    if mailers := getattr(settings, "MAILERS", None):
        return str(mailers.get("default", {}).get("BACKEND", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return str(settings.EMAIL_BACKEND)
