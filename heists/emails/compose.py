"""Composes a notification as an email in text and HTML (docs/specification.md, "Notifications").

The texts are in `templates/heists/email/`, three files a type. A host overrides one with a file of the same path.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.policy import Policy
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_urlconf, reverse
from django.utils import timezone, translation
from django.utils.dateparse import parse_datetime

from .. import conf
from ..economy import Economy
from ..messages import notification_message
from ..models import HeistNotification, OutboxEmail
from ..rules import ahead
from . import unsubscribe

SUBJECT_MAX_LENGTH = 150


def compose(email: OutboxEmail, *, to: str, economy: Economy) -> EmailMultiAlternatives:
    """Return the message of an outbox email in its player's language. Sends and writes nothing."""
    notification = email.notification
    player, metadata = notification.user, notification.metadata or {}
    with translation.override(economy.language(player) or settings.LANGUAGE_CODE):
        link = unsubscribe_link(notification)
        context = {
            "player_name": economy.name(player),
            "sentence": notification_message(notification.type, metadata) or notification.message,
            "notification": notification,
            "details": metadata,
            # A late email does not promise what is over.
            "protection_until": ahead(parse_datetime(str(metadata.get("protection_until", ""))), timezone.now()),
            "site_url": conf.site_url(),
            "unsubscribe_url": link,
            "language": translation.get_language(),
            "direction": "rtl" if translation.get_language_bidi() else "ltr",
        }
        template = f"heists/email/{notification.type.lower()}"
        # A name may contain line breaks, which a header must not.
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())[:SUBJECT_MAX_LENGTH]
        text = render_to_string(f"{template}.txt", context)
        html = render_to_string(f"{template}.html", context)
    message = EmailMultiAlternatives(subject, text, conf.email_from(), [to], headers=_headers(email, link))
    message.attach_alternative(html, "text/html")
    return message


def unsubscribe_link(notification: HeistNotification) -> str:
    """Return the absolute URL that stops such emails; empty where SITE_URL is not set or no URL leads there."""
    if not (site := conf.site_url()):
        return ""
    path = unsubscribe_path(unsubscribe.token(notification.user, notification.type))
    return site + path if path else ""


def unsubscribe_path(token: str) -> str:
    """Return the path of the unsubscribe page, wherever the host includes `heists.urls`; empty where it can't be built.

    A prefix that captures a value, such as a version, has no path that can be built without a request.
    """
    for namespace in _namespaces(get_resolver(get_urlconf())):
        try:
            return reverse(f"{namespace}:unsubscribe", args=[token])
        except NoReverseMatch:
            continue
    return ""


def _namespaces(resolver: URLResolver, outer: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the namespaces in which `heists.urls` is included, with those around them."""
    for name in resolver.app_dict.get("heists", ()):
        yield ":".join((*outer, name))
    for name, (_prefix, nested) in resolver.namespace_dict.items():
        yield from _namespaces(nested, (*outer, name))


class ListUnsubscribeHeader(str):
    """A `List-Unsubscribe` header that is written on one line, however long.

    Python's modern email policy, which Django 6.0 uses, encodes a long URL into words that mail providers do not read.
    """

    name = "List-Unsubscribe"
    defects = ()

    def fold(self, *, policy: Policy[Any]) -> str:
        """Return the header line; the policy calls this for each header."""
        return f"{self.name}: {self}{policy.linesep}"


def _headers(email: OutboxEmail, link: str) -> dict[str, str]:
    headers = {
        # From the row, so that an email sent twice, after a worker died, is recognised as the same one.
        "Message-ID": f"<heist-email-{email.pk}@{_domain()}>",
        "Auto-Submitted": "auto-generated",
    }
    if link:
        # RFC 8058: the mail program shows a button of its own and sends the POST itself.
        headers[ListUnsubscribeHeader.name] = ListUnsubscribeHeader(f"<{link}>")
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _domain() -> str:
    sender = parseaddr(conf.email_from())[1].rpartition("@")[2]
    return urlsplit(conf.site_url()).hostname or sender or "localhost"
