"""Workers are killed and the mail server fails: every email arrives (docs/specification.md, "Notifications")."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from heists.choices import HeistNotificationType
from heists.models import HeistNotification, OutboxEmail
from tests import ROOT
from tests.heists.mail_server import BUSY, DROP, OK, MailServer

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

EMAILS = 600
# Seconds after which the workers have failed, on a busy machine too.
TIMEOUT_SECONDS = 240


def until(true: Callable[[], Any]) -> None:
    ends = time.monotonic() + TIMEOUT_SECONDS
    while not true():
        assert time.monotonic() < ends, "the workers did not finish"
        time.sleep(0.1)


@contextmanager
def workers(number: int, mail_port: int) -> Iterator[list[subprocess.Popen[str]]]:
    server = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DATABASE_URL": server._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        "HEIST_SITE_URL": "https://game.example",
        "HEIST_EMAIL_LEASE_SECONDS": "3",
        "HEIST_EMAIL_RETRY_SECONDS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "manage.py", "send_heist_emails", "--loop", "--pause=0.2", "--batch=20"]
    running: list[subprocess.Popen[str]] = []
    try:
        for _ in range(number):
            running.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            )
        yield running
    finally:
        for worker in running:
            worker.kill()
            worker.communicate()


def test_every_email_arrives_and_is_marked_once() -> None:
    players = get_user_model().objects
    users = players.bulk_create(
        players.model(username=f"player{n}", email=f"player{n}@example.com") for n in range(EMAILS)
    )
    notifications = HeistNotification.objects.bulk_create(
        HeistNotification(user=user, type=HeistNotificationType.SHIELD_EXPIRED, message="…") for user in users
    )
    OutboxEmail.objects.bulk_create(OutboxEmail(notification=notification) for notification in notifications)
    dice, first, killed = random.Random(7), threading.Event(), threading.Event()
    failures: Counter[str] = Counter()

    def answer(number: int, recipient: str) -> str:
        if number == 1:
            first.set()
            # The worker is killed while it sends the first email. The server answers no other worker before that.
            killed.wait(TIMEOUT_SECONDS)
            return DROP
        # Three times at most for an email, because each wait is twice as long.
        if failures[recipient] < 3 and dice.random() < 1 / 3:
            failures[recipient] += 1
            return dice.choice([BUSY, DROP])
        return OK

    with MailServer() as server, workers(4, server.port) as running:
        server.answer = answer
        assert first.wait(TIMEOUT_SECONDS)
        # All four have leased a batch and wait for the server.
        held = OutboxEmail.objects.exclude(lease=None)
        until(lambda: held.values("lease").distinct().count() == 4)
        victim = running.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        assert held.count() >= 20
        killed.set()
        until(lambda: not OutboxEmail.objects.exclude(state="SENT").exists())
        for worker in running:
            worker.send_signal(signal.SIGTERM)
        closing = [worker.communicate(timeout=TIMEOUT_SECONDS)[0] for worker in running]
        arrived = [message["Message-ID"] for message in server.arrived]

    marked = sum([int(re.findall(r"^(\d+) emails? sent", output)[0]) for output in closing])
    assert marked == EMAILS
    assert set(arrived) == {
        f"<heist-email-{pk}@game.example>" for pk in OutboxEmail.objects.values_list("pk", flat=True)
    }
    assert HeistNotification.objects.filter(email_sent=True, email_sent_at__isnull=False).count() == EMAILS
    assert OutboxEmail.objects.filter(lease=None, leased_until=None, last_error="").count() == EMAILS
    assert failures.total() > EMAILS / 4
