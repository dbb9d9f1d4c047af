"""Request bodies: which are read as JSON, and how long they may be."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError

from heists.api.parsers import PayloadTooLarge, StrictJSONParser
from heists.models import EmailPreference
from tests.factories import player
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db
PREFERENCES = f"{URL}preferences/"
OFF = b'{"email": false}'
LONGEST = 65_536


def send(client: Any, body: bytes, **headers: Any) -> Any:
    return client.generic("PATCH", PREFERENCES, body, content_type="application/json", **headers)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"email": false} x',
        b'{"email": false, "x": NaN}',
        b'{"email": false, "x": Infinity}',
        b'{"email": false, "x": -Infinity}',
        b'{"email": false, "email": false}',
        b'{"email": false, "types": {"TOKEN_EARNED": true, "TOKEN_EARNED": true}}',
        b'{"email": false, "x": ' + b"9" * 5000 + b"}",
        b'{"email": false, "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"email": false, "x": "\xff"}',
        b"\xef\xbb\xbf" + OFF,
        OFF.decode().encode("utf-16"),
        OFF.decode().encode("utf-16-le"),
        OFF.decode().encode("utf-32"),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_not_strict_json_in_utf_8_is_a_parse_error(signed_in: Any, body: bytes) -> None:
    problem(send(signed_in(player()), body), 400, "parse_error")
    assert not EmailPreference.objects.exists()


def test_equal_keys_of_two_objects_are_no_duplicates(signed_in: Any) -> None:
    assert send(signed_in(player()), b'{"x": {"email": 1}, "email": false}').json()["email"] is False


@pytest.mark.parametrize(("length", "status"), [(LONGEST, 200), (LONGEST + 1, 413), (2 * LONGEST, 413)])
def test_a_body_has_64_kibibytes_at_most(signed_in: Any, length: int, status: int) -> None:
    answer = send(signed_in(player()), OFF.ljust(length))

    if status == 200:
        assert (answer.status_code, answer.json()["email"]) == (200, False)
    else:
        problem(answer, status, "payload_too_large")
        assert not EmailPreference.objects.exists()


def test_a_long_body_is_not_read_to_its_end() -> None:
    stream = BytesIO(OFF.ljust(10 * LONGEST))

    with pytest.raises(PayloadTooLarge):
        StrictJSONParser().parse(stream)

    assert stream.tell() <= LONGEST + 1


def test_a_body_that_ends_too_early_is_a_parse_error() -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise UnreadablePostError("the client went away")

    with pytest.raises(ParseError, match="ended too early"):
        StrictJSONParser().parse(Broken())


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}], ids=["no header", "an empty header"])
def test_a_chunked_body_needs_a_length(signed_in: Any, length: dict[str, str]) -> None:
    problem(send(signed_in(player()), b"", HTTP_TRANSFER_ENCODING="chunked", **length), 411, "length_required")
