"""What a letter looks like: a notification as an e-mail in text and HTML (spec section 5).

The words live in `templates/heists/mail/`, three files a type; a host overrides any of them by a file of the same path.
"""

from __future__ import annotations

import datetime as dt
from email.policy import Policy
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from . import conf, notifications, unsubscribe
from .economy import Economy
from .models import HeistNotification, Letter

SUBJECT_MAX_LENGTH = 150


def compose(letter: Letter, *, to: str, economy: Economy) -> EmailMultiAlternatives:
    """Return the message of a letter, in its player's language. Nothing is sent and nothing is written."""
    notification = letter.notification
    player = notification.user
    with translation.override(economy.language(player) or settings.LANGUAGE_CODE):
        link = unsubscribe_link(notification)
        context = {
            "player_name": economy.name(player),
            "sentence": notifications.sentence(notification.type, notification.metadata) or notification.message,
            "notification": notification,
            "details": notification.metadata or {},
            "protection_until": _moment((notification.metadata or {}).get("protection_until")),
            "site_url": conf.site_url(),
            "unsubscribe_url": link,
            "language": translation.get_language(),
            "direction": "rtl" if translation.get_language_bidi() else "ltr",
        }
        template = f"heists/mail/{notification.type.lower()}"
        # A name may hold line breaks, which a header must not.
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())[:SUBJECT_MAX_LENGTH]
        text = render_to_string(f"{template}.txt", context)
        html = render_to_string(f"{template}.html", context)
    message = EmailMultiAlternatives(subject, text, conf.email_from(), [to], headers=_headers(letter, link))
    message.attach_alternative(html, "text/html")
    return message


def unsubscribe_link(notification: HeistNotification) -> str:
    """Return the absolute address that stops such letters; empty where the site's own address is not known."""
    if not (site := conf.site_url()):
        return ""
    token = unsubscribe.token(notification.user, notification.type)
    try:
        return site + reverse("heists:unsubscribe", args=[token])
    except NoReverseMatch:
        # A host that serves no `heists.urls` has letters all the same, without the link.
        return ""


class WholeLine(str):
    """A `List-Unsubscribe` header that is written on one line, however long.

    Python's modern e-mail policy, which Django uses from 6.0 on, would encode a long address into words that no mail
    provider reads.
    """

    name = "List-Unsubscribe"
    defects = ()

    def fold(self, *, policy: Policy[Any]) -> str:
        """Return the header as it is sent: what the policy asks of every header."""
        return f"{self.name}: {self}{policy.linesep}"


def _headers(letter: Letter, link: str) -> dict[str, str]:
    headers = {
        # From the row, so that whoever gets a letter twice, after a worker's death, can tell that it is the same one.
        "Message-ID": f"<heist-letter-{letter.pk}@{_domain()}>",
        "Auto-Submitted": "auto-generated",
    }
    if link:
        # RFC 8058: the mail program shows a button of its own and sends the POST by itself.
        headers |= {WholeLine.name: WholeLine(f"<{link}>"), "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return headers


def _domain() -> str:
    sender = parseaddr(conf.email_from())[1].rpartition("@")[2]
    return urlsplit(conf.site_url()).hostname or sender or "localhost"


def _moment(text: Any) -> dt.datetime | None:
    """Return a time as the metadata keeps it, which is text once it comes from the database."""
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text if isinstance(text, dt.datetime) else None
