"""Keyset pagination of lists: a page costs the same however deep it lies. See docs/specification.md, "HTTP API".

DRF's CursorPagination steps over rows with equal positions by an offset of at most 1000. A leaderboard may have more
players with equal points, so the position of this cursor includes the primary key.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

from django.db import DataError, router
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param

from ..db.compiled import CompiledQuery, Param

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
# Characters; more than any cursor of this API has.
MAX_CURSOR_LENGTH = 2000
# The parameters of a compiled page that hold the cursor's position.
POSITION_PARAMS = ("cursor key", "cursor pk")


@dataclass(frozen=True, slots=True)
class PageSlice:
    """The rows to read for a page: one more than it shows, to know whether another page follows."""

    count: int
    backwards: bool
    # The ordering key and primary key of the row before the first one; None at the beginning of the list.
    position: tuple[Any, Any] | None


class KeysetPagination(BasePagination):
    """Pages ordered by a key and the primary key, each descending or not. `page_size` is 20 by default, 100 at most.

    A cursor holds the direction, and the key and primary key of the row that the page starts after.
    """

    key = "created_at"
    key_descending = True
    pk_descending = True
    parse_key: Callable[[Any], Any] = staticmethod(parse_datetime)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the requested page of a queryset. Raises NotFound for an invalid cursor."""
        return self.page(request, queryset.model, lambda part: list(self.slice_queryset(queryset, part)))

    def page(self, request: Request, model: type[Model], read_rows: Callable[[PageSlice], list[Any]]) -> list[Any]:
        """Return the requested page of a model's rows, read by `read_rows`. Raises NotFound for an invalid cursor."""
        self.request = request
        size = self.page_size()
        part = self.requested_slice(size + 1, model)
        rows = self.read_slice(part, read_rows)
        more, rows = len(rows) > size, rows[:size]
        self.set_links(part, rows, more=more)
        return rows[::-1] if part.backwards else rows

    def requested_slice(self, count: int, model: type[Model]) -> PageSlice:
        """Return `count` rows from the request's cursor on. Raises NotFound for an invalid cursor."""
        backwards, position = False, None
        if text := self.request.query_params.get("cursor"):
            backwards, position = self.decode_cursor(text, model)
        return PageSlice(count, backwards, position)

    def read_slice(self, part: PageSlice, read_rows: Callable[[PageSlice], list[Any]]) -> list[Any]:
        """Return what `read_rows` reads. Raises NotFound where the cursor's position does not fit the database."""
        try:
            return read_rows(part)
        except (DataError, OverflowError, ValueError) as error:
            raise self.invalid_cursor() from error

    def set_links(self, part: PageSlice, rows: list[Any], *, more: bool) -> None:
        """Set the links around these rows, which are in the order of reading; `more` follow in that order."""
        ahead = self.link(rows[-1], backwards=part.backwards) if rows and more else None
        # A page that was read backwards comes before the one that it was asked from.
        came_from = part.backwards or part.position is not None
        behind = self.link(rows[0], backwards=not part.backwards) if rows and came_from else None
        self.next, self.previous = (behind, ahead) if part.backwards else (ahead, behind)

    @classmethod
    def slice_queryset(cls, rows: QuerySet[Any], part: PageSlice) -> QuerySet[Any]:
        """Return the rows of the slice, in the order of reading."""
        rows = rows.order_by(*cls.ordering(part.backwards))
        if part.position:
            rows = rows.filter(cls.after(part.position, part.backwards))
        return rows[: part.count]

    def page_size(self) -> int:
        """Return the number of rows in a page. Raises ValidationError where it is not a positive integer."""
        text = self.request.query_params.get("page_size", str(DEFAULT_PAGE_SIZE))
        if not re.fullmatch("[1-9][0-9]*", text, re.ASCII):
            raise ValidationError({"page_size": ErrorDetail(str(_("Write a number from 1 to 100.")), code="invalid")})
        # Python does not convert a number of thousands of digits.
        return min(MAX_PAGE_SIZE, int(text[: len(str(MAX_PAGE_SIZE))]))

    @classmethod
    def ordering(cls, backwards: bool) -> tuple[str, str]:
        """Return the arguments of `order_by`."""
        key = f"-{cls.key}" if cls.key_descending else cls.key
        pk = "-pk" if cls.pk_descending else "pk"
        return (_reversed(key), _reversed(pk)) if backwards else (key, pk)

    @classmethod
    def after(cls, position: tuple[Any, Any], backwards: bool) -> Q:
        """Return the condition for the rows after a position."""
        key, pk = position
        key_lookup = "lt" if cls.key_descending != backwards else "gt"
        pk_lookup = "lt" if cls.pk_descending != backwards else "gt"
        # The first condition is redundant, but only with it does the database start its index scan at the position.
        return Q(**{f"{cls.key}__{key_lookup}e": key}) & (
            Q(**{f"{cls.key}__{key_lookup}": key}) | Q(**{f"pk__{pk_lookup}": pk})
        )

    def link(self, row: Any, *, backwards: bool) -> str:
        """Return the URL of the page that starts after this row."""
        key = getattr(row, self.key)
        position = [
            int(backwards),
            key if isinstance(key, int | str) else key.isoformat(),
            row.pk if isinstance(row.pk, int) else str(row.pk),
        ]
        cursor = base64.urlsafe_b64encode(json.dumps(position, ensure_ascii=False).encode()).decode().rstrip("=")
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'cursor': cursor})}"

    def decode_cursor(self, text: str, model: Any) -> tuple[bool, tuple[Any, Any]]:
        """Return a cursor's direction and position. Raises NotFound for an invalid cursor."""
        try:
            if len(text) > MAX_CURSOR_LENGTH:
                raise ValueError
            backwards, key, pk = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            key, pk = self.parse_key(key), model._meta.pk.to_python(pk)
            if key is None or pk is None or "\x00" in str(pk):
                raise ValueError
            # Fails for a lone surrogate.
            str(pk).encode()
        # A client may send any text, and each parser raises other exceptions.
        except Exception as error:
            raise self.invalid_cursor() from error
        return bool(backwards), (key, pk)

    def invalid_cursor(self) -> NotFound:
        return NotFound(_("There is no such page."), code="invalid_cursor")

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        # The examples are those of a page without neighbours.
        link = {"type": "string", "nullable": True, "format": "uri", "example": None}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "The start of the page; take it from `next` or `previous`.",
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": f"Rows of a page; more than {MAX_PAGE_SIZE} is {MAX_PAGE_SIZE}.",
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_PAGE_SIZE},
            },
        ]


class CompiledPagination(KeysetPagination):
    """Pages of a frequent list: the query of each kind of page is compiled once.

    A kind is the set of filters, the direction, the size, and whether there is a cursor; the values are parameters.
    """

    model: type[Model]

    def paginate(self, request: Request, filters: Mapping[str, Any]) -> list[Any]:
        """Return the requested page of the rows that these filters select. Raises NotFound for an invalid cursor."""
        return self.page(request, self.model, partial(self.read_rows, filters))

    def read_rows(self, filters: Mapping[str, Any], part: PageSlice) -> list[Any]:
        """Return the rows of the slice that these filters select."""
        raise NotImplementedError

    def fetch(self, queryset: Callable[[], QuerySet[Any]], filters: Mapping[str, Any], part: PageSlice) -> list[Any]:
        """Return the rows of the slice. `queryset` is part of the cache key: pass the same function each time."""
        pagination: Any = type(self)
        using = router.db_for_read(self.model)
        has_position = part.position is not None
        query = _compiled(pagination, queryset, frozenset(filters), part.count, part.backwards, has_position, using)
        return query.fetch({**filters, **dict(zip(POSITION_PARAMS, part.position or (), strict=False))})


@lru_cache(maxsize=512)
def _compiled(
    pagination: type[CompiledPagination],
    queryset: Callable[[], QuerySet[Any]],
    lookups: frozenset[str],
    count: int,
    backwards: bool,
    has_position: bool,
    using: str,
) -> CompiledQuery:
    """Return the compiled query of a kind of page."""
    meta: Any = pagination.model._meta
    filters = {lookup: Param(lookup, meta.get_field(lookup.partition("__")[0])) for lookup in lookups}
    fields = (meta.get_field(pagination.key), meta.pk)
    key, pk = (Param(name, field) for name, field in zip(POSITION_PARAMS, fields, strict=True))
    part = PageSlice(count, backwards, (key, pk) if has_position else None)
    return CompiledQuery(pagination.slice_queryset(queryset().using(using).filter(**filters), part))


def _reversed(field: str) -> str:
    return field.removeprefix("-") if field.startswith("-") else f"-{field}"
