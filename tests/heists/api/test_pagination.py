"""Pages by keyset, compared with the list sorted and sliced in Python."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import DataError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from heists.api.pagination import KeysetPagination

pytestmark = pytest.mark.django_db


class ByName(KeysetPagination):
    """Users by their first name; several have the same."""

    key = "first_name"
    parse_key = staticmethod(lambda value: value)


class ByNameAscendingKeys(ByName):
    pk_descending = False


class Alphabetical(ByNameAscendingKeys):
    key_descending = False


def request(query: str = "") -> Request:
    return Request(APIRequestFactory().get(f"/list/{query}"))


def page(kind: type[KeysetPagination], url: str | None) -> tuple[list[int], Any]:
    pagination = kind()
    query = f"?{urlsplit(url).query}" if url else ""
    rows = pagination.paginate_queryset(User.objects.all(), request(query))
    return [row.pk for row in rows], pagination


@pytest.fixture
def users() -> list[User]:
    return [User.objects.create(username=f"u{n}", first_name="abb"[n % 3]) for n in range(7)]


ORDERS: dict[type[KeysetPagination], Callable[[Any], tuple[int, Any]]] = {
    ByName: lambda user: (-ord(user.first_name), -user.pk),
    ByNameAscendingKeys: lambda user: (-ord(user.first_name), user.pk),
    Alphabetical: lambda user: (ord(user.first_name), user.pk),
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_the_pages_forwards_and_back_are_slices_of_the_sorted_list(
    users: list[User], kind: type[KeysetPagination], size: int
) -> None:
    expected = [user.pk for user in sorted(users, key=ORDERS[kind])]
    slices = [expected[start : start + size] for start in range(0, 7, size)]

    pages, url = [], f"/list/?page_size={size}"
    rows, pagination = page(kind, url)
    assert pagination.previous is None
    pages.append(rows)
    while pagination.next:
        rows, pagination = page(kind, pagination.next)
        pages.append(rows)
        assert pagination.previous
    assert pages == slices

    back = [rows]
    while pagination.previous:
        rows, pagination = page(kind, pagination.previous)
        back.insert(0, rows)
        assert pagination.next
    assert [pk for rows in back for pk in rows] == expected
    assert all(len(rows) == size for rows in back[1:-1])


def test_an_empty_list_has_no_links() -> None:
    rows, pagination = page(ByName, None)

    assert (rows, pagination.next, pagination.previous) == ([], None, None)


def cursor(*position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize("backwards", [0, 1])
def test_a_cursor_beyond_the_list_has_no_links(users: list[User], backwards: int) -> None:
    text = cursor(backwards, "z" if backwards else "A", 1)

    rows, pagination = page(ByName, f"?cursor={text}")

    assert (rows, pagination.next, pagination.previous) == ([], None, None)


def test_a_link_keeps_the_other_parameters_and_replaces_the_cursor(users: list[User]) -> None:
    _, first = page(ByName, "/list/?page_size=2&status=x")
    _, second = page(ByName, first.next)

    query = parse_qs(urlsplit(second.next).query)
    assert (query["page_size"], query["status"], len(query["cursor"])) == (["2"], ["x"], 1)
    assert second.next.startswith("http://testserver/list/?")
    assert json.loads(base64.urlsafe_b64decode(query["cursor"][0] + "==")) == [0, "b", users[1].pk]
    assert json.loads(base64.urlsafe_b64decode(parse_qs(urlsplit(second.previous).query)["cursor"][0] + "=="))[0] == 1
    _, plain = page(ByName, None)
    assert plain.next is None


def test_a_link_of_a_list_without_parameters(users: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.api.pagination.DEFAULT_PAGE_SIZE", 2)

    _, pagination = page(ByName, None)

    assert pagination.next.startswith("http://testserver/list/?cursor=")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("99", 99), ("100", 100), ("101", 100), ("999", 100), ("1000", 100), ("9" * 5000, 100), ("10", 10)],
)
def test_a_page_has_the_size_that_is_asked_for_and_100_at_most(text: str, size: int) -> None:
    pagination = KeysetPagination()
    pagination.request = request(f"?page_size={text}")

    assert pagination.page_size() == size


def test_a_page_has_20_rows_by_default() -> None:
    pagination = KeysetPagination()
    pagination.request = request()

    assert pagination.page_size() == 20


@pytest.mark.parametrize("text", ["0", "-1", "01", "", "1.5", "a", "1a", "a1", "%D9%A1", "1%0A", "+1"])
def test_a_size_that_is_no_number_is_an_error_of_its_field(text: str) -> None:
    pagination = KeysetPagination()
    pagination.request = request(f"?page_size={text}")

    with pytest.raises(ValidationError) as raised:
        pagination.page_size()

    assert raised.value.get_full_details() == {
        "page_size": {"message": "Write a number from 1 to 100.", "code": "invalid"}
    }


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "%%%",
        cursor(0, "b"),
        cursor(0, "b", 1, 2),
        cursor(0, None, 1),
        cursor(0, "b", None),
        cursor(0, "b", "no number"),
        cursor(0, "b", "1\x00"),
        cursor(0, "b", "\ud800"),
        cursor({}, "b"),
        "W" * 2001,
    ],
)
def test_a_forged_cursor_is_no_page(users: list[User], text: str) -> None:
    with pytest.raises(NotFound) as raised:
        page(ByName, f"?cursor={text}")

    assert (raised.value.get_codes(), str(raised.value)) == ("invalid_cursor", "There is no such page.")


class TextKeys:
    """A model whose primary key is text, which takes any."""

    _meta = SimpleNamespace(pk=SimpleNamespace(to_python=str))


@pytest.mark.parametrize("pk", ["\x00", "a\x00b", "\ud800"])
def test_a_text_that_no_database_takes_is_no_page(pk: str) -> None:
    pagination = ByName()
    with pytest.raises(NotFound):
        pagination.decode_cursor(cursor(0, "b", pk), TextKeys)
    assert pagination.decode_cursor(cursor(0, "b", "ok"), TextKeys) == (False, ("b", "ok"))
    assert pagination.decode_cursor(cursor(1, "b", "ok"), TextKeys) == (True, ("b", "ok"))


@pytest.mark.parametrize(("length", "taken"), [(2000, True), (2001, False)])
def test_a_cursor_has_2000_characters_at_most(length: int, taken: bool) -> None:
    text = cursor(0, "b", "a" * 700)
    text = base64.urlsafe_b64encode(json.dumps([0, "b", "a"]).ljust(length * 3 // 4).encode()).decode().rstrip("=")
    text = text.ljust(length, "=")

    if taken:
        assert ByName().decode_cursor(text, TextKeys) == (False, ("b", "a"))
    else:
        with pytest.raises(NotFound):
            ByName().decode_cursor(text, TextKeys)


@pytest.mark.parametrize("error", [DataError, OverflowError, ValueError])
def test_a_position_that_the_database_rejects_is_no_page(error: type[Exception]) -> None:
    def fail(part: Any) -> list[Any]:
        raise error

    with pytest.raises(NotFound):
        ByName().page(request(), User, fail)


def test_other_errors_are_not_hidden() -> None:
    def fail(part: Any) -> list[Any]:
        raise KeyError

    with pytest.raises(KeyError):
        ByName().page(request(), User, fail)


def test_a_page_reads_one_row_more_than_it_shows() -> None:
    parts: list[Any] = []

    def read(part: Any) -> list[Any]:
        parts.append(part)
        return []

    ByName().page(request(f"?page_size=3&cursor={cursor(1, 'b', 5)}"), User, read)

    [part] = parts
    assert (part.count, part.backwards, part.position) == (4, True, ("b", 5))


def test_the_conditions_start_the_scan_of_the_index_at_the_position() -> None:
    forwards = str(User.objects.filter(ByName.after(("b", 5), False)).query)
    back = str(User.objects.filter(ByName.after(("b", 5), True)).query)

    # Only with the first condition does the database start its scan there.
    assert '"first_name" <= b AND (' in forwards
    assert '"first_name" >= b AND (' in back


def test_the_answer_and_its_schema_have_the_same_members(users: list[User]) -> None:
    _, pagination = page(ByName, "?page_size=2")

    assert pagination.get_paginated_response([1]).data == {
        "next": pagination.next,
        "previous": None,
        "results": [1],
    }
    link = {"type": "string", "nullable": True, "format": "uri", "example": None}
    assert pagination.get_paginated_response_schema({"type": "array"}) == {
        "type": "object",
        "required": ["next", "previous", "results"],
        "properties": {"next": link, "previous": link, "results": {"type": "array"}},
    }


def test_the_parameters_are_optional_and_described() -> None:
    first, second = ByName().get_schema_operation_parameters(None)

    assert [(one["name"], one["in"], one["required"]) for one in (first, second)] == [
        ("cursor", "query", False),
        ("page_size", "query", False),
    ]
    assert (first["schema"], second["schema"]) == (
        {"type": "string"},
        {"type": "integer", "minimum": 1, "default": 20},
    )
    assert "`next`" in first["description"] and "more than 100 is 100" in second["description"]
