"""The client's address is never a forged one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from heists.api.client_address import client_address
from heists.models import Heist
from tests.factories import player


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "expected"),
    [
        (0, "6.6.6.6", "203.0.113.7", "203.0.113.7"),
        (0, None, "203.0.113.7", "203.0.113.7"),
        (1, "6.6.6.6, 203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (1, "203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.2", "10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "10.0.0.1", None),
        (1, None, "10.0.0.1", None),
        (1, "", "10.0.0.1", None),
        (1, "203.0.113.7, ", "10.0.0.1", None),
        (1, "unknown", "10.0.0.1", None),
        (1, "203.0.113.7:4711", "10.0.0.1", "203.0.113.7"),
        (1, "[2001:DB8::1]:4711", "10.0.0.1", "2001:db8::1"),
        (1, "[2001:db8::1]", "10.0.0.1", "2001:db8::1"),
        (1, "[fe80::1%eth0]:4711", "10.0.0.1", "fe80::1"),
        (1, "[::ffff:203.0.113.7]:4711", "10.0.0.1", "203.0.113.7"),
        (0, None, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "fe80::1%eth0", "10.0.0.1", "fe80::1"),
        (1, "::ffff:203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (1, "203.0.113.007", "10.0.0.1", None),
        (1, "<script>", "10.0.0.1", None),
        (1, "1.2.3.4\x00", "10.0.0.1", None),
        (1, "9" * 5000, "10.0.0.1", None),
        (0, None, "", None),
    ],
)
def test_trusted_proxies_are_counted_from_the_right(
    settings: Any, proxies: int, forwarded: str | None, remote: str, expected: str | None
) -> None:
    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": proxies}
    headers: dict[str, Any] = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}

    assert client_address(RequestFactory().get("/", REMOTE_ADDR=remote, **headers)) == expected


@pytest.mark.parametrize(("proxies", "expected"), [(0, None), (1, "203.0.113.7"), (2, None)])
def test_a_server_that_knows_no_address_has_none(settings: Any, proxies: int, expected: str | None) -> None:
    """An ASGI server behind a Unix socket sets no REMOTE_ADDR."""
    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": proxies}
    request = RequestFactory().get("/", headers={"x-forwarded-for": "203.0.113.7"})
    del request.META["REMOTE_ADDR"]

    assert client_address(request) == expected


@pytest.mark.django_db
def test_the_address_behind_a_trusted_proxy_is_stored(signed_in: Any, settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "TRUSTED_PROXIES": 1}
    robber, victim = player(tokens=1), player(points=1000)

    signed_in(robber).post(
        "/api/heists/",
        {"victim": victim.pk},
        REMOTE_ADDR="10.0.0.1",
        headers={"x-forwarded-for": "6.6.6.6, 203.0.113.7"},
    )

    assert Heist.objects.get().ip_address == "203.0.113.7"


@pytest.mark.django_db
def test_a_forged_header_is_never_stored(signed_in: Any) -> None:
    robber, victim = player(tokens=1), player(points=1000)

    signed_in(robber).post(
        "/api/heists/", {"victim": victim.pk}, REMOTE_ADDR="203.0.113.7", headers={"x-forwarded-for": "6.6.6.6"}
    )

    assert Heist.objects.get().ip_address == "203.0.113.7"
