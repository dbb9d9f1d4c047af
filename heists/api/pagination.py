"""Pages of the lists: by cursor, so that page 1000 costs what page 1 costs (spec section 6).

DRF's own cursor counts rows of equal position by an offset and stops at 1000 of them; a leaderboard where 5000 players
have no points yet needs the primary key in the cursor.

`PageCursor` is for any rows, say a host's players. `CompiledPage` is for the lists that everybody reads all day: it
compiles the query of a page once.
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
# Far more than any cursor that was handed out.
MAX_CURSOR = 1000
# What the two halves of a position are called among the values of a prepared page.
CURSOR = ("the cursor's key", "the cursor's primary key")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that a page shows, and one row more, which tells whether there are further pages."""

    count: int
    backwards: bool
    # The key and the primary key of the row it begins behind; None for the list's beginning.
    position: tuple[Any, Any] | None


class PageCursor(BasePagination):
    """Pages in the order of (-key, pk or -pk); `page_size` asks for another number than 20, 100 at most.

    A cursor holds the key and the primary key of the row it stands behind.
    """

    key = "created_at"
    # The second half of the order: newest first means the largest id first.
    pk_descending = True
    parse_key: Callable[[Any], Any] = staticmethod(parse_datetime)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the page of these rows. Raises NotFound for a cursor that nobody handed out."""
        return self.page(request, queryset.model, lambda window: list(self.within(queryset, window)))

    def page(self, request: Request, model: type[Model], take: Callable[[Window], list[Any]]) -> list[Any]:
        """Return the page whose rows of this model `take` reads. Raises NotFound like `paginate_queryset`."""
        self.request = request
        size = self.page_size()
        backwards, position = False, None
        if text := request.query_params.get("cursor"):
            backwards, position = self.decode(text, model)
        try:
            page = take(Window(size + 1, backwards, position))
        except (DataError, OverflowError, ValueError) as error:
            raise self.unknown_cursor() from error
        more, page = len(page) > size, page[:size]
        if backwards:
            page.reverse()
        has_previous, has_next = (more, True) if backwards else (position is not None, more)
        self.next = self.link(False, page[-1]) if page and has_next else None
        self.previous = self.link(True, page[0]) if page and has_previous else None
        return page

    @classmethod
    def within(cls, rows: QuerySet[Any], window: Window) -> QuerySet[Any]:
        """Return those of the rows that are in the window, in its order."""
        rows = rows.order_by(*cls.order(window.backwards))
        if window.position:
            rows = rows.filter(cls.beyond(window.position, window.backwards))
        return rows[: window.count]

    def page_size(self) -> int:
        """Return the page's length. Raises ValidationError for what is no positive number; more than 100 is 100."""
        text = self.request.query_params.get("page_size", str(DEFAULT_PAGE_SIZE))
        if not re.fullmatch("[1-9][0-9]{0,17}", text, re.ASCII):
            raise ValidationError({"page_size": ErrorDetail(str(_("Write a number from 1 to 100.")), code="invalid")})
        return min(MAX_PAGE_SIZE, int(text))

    @classmethod
    def order(cls, backwards: bool) -> tuple[str, str]:
        key, pk = f"-{cls.key}", "-pk" if cls.pk_descending else "pk"
        return (_turned(key), _turned(pk)) if backwards else (key, pk)

    @classmethod
    def beyond(cls, position: tuple[Any, Any], backwards: bool) -> Q:
        """The rows behind a position. The first condition alone bounds the index; the second settles the ties."""
        key, pk = position
        key_side = "gt" if backwards else "lt"
        pk_side = "lt" if cls.pk_descending != backwards else "gt"
        return Q(**{f"{cls.key}__{key_side}e": key}) & (
            Q(**{f"{cls.key}__{key_side}": key}) | Q(**{f"pk__{pk_side}": pk})
        )

    def link(self, backwards: bool, row: Any) -> str:
        key = getattr(row, self.key)
        position = [int(backwards), key if isinstance(key, int) else key.isoformat(), _plain(row.pk)]
        cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'cursor': cursor})}"

    def decode(self, text: str, model: Any) -> tuple[bool, tuple[Any, Any]]:
        try:
            if len(text) > MAX_CURSOR:
                raise ValueError
            backwards, key, pk = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            key, pk = self.parse_key(key), model._meta.pk.to_python(pk)
            if key is None or pk is None or "\x00" in str(pk):
                raise ValueError
            str(pk).encode()
        # What is inside may be anything at all, and every parser has its own way to say so.
        except Exception as error:
            raise self.unknown_cursor() from error
        return bool(backwards), (key, pk)

    def unknown_cursor(self) -> NotFound:
        return NotFound(_("There is no such page."), code="invalid_cursor")

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
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
                "description": str(_("Where the page begins; take it from `next` or `previous`.")),
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": str(_("Results a page; more than 100 is 100.")),
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_PAGE_SIZE},
            },
        ]


class CompiledPage(PageCursor):
    """Pages of rows of our own, by queries that are compiled once for each shape a page can have.

    The shape is which look-ups are asked, which way the page goes and how long it is; the values are asked each time.
    """

    model: type[Model]

    def paginate(self, request: Request, where: Mapping[str, Any]) -> list[Any]:
        """Return the page of the rows for which these look-ups hold. Raises NotFound like `paginate_queryset`."""
        return self.page(request, self.model, partial(self.take, where))

    def take(self, where: Mapping[str, Any], window: Window) -> list[Any]:
        """Return the rows in the window for which these look-ups hold."""
        raise NotImplementedError

    def fetch(self, source: Callable[[], QuerySet[Any]], where: Mapping[str, Any], window: Window) -> list[Any]:
        """Return the rows of `source`, always the same query set, in the window for which these look-ups hold."""
        pages: Any = type(self)
        using = router.db_for_read(self.model)
        begun = window.position is not None
        query = _page(pages, source, frozenset(where), window.count, window.backwards, begun, using)
        return query.fetch({**where, **dict(zip(CURSOR, window.position or (), strict=False))})


@lru_cache(maxsize=512)
def _page(
    pages: type[CompiledPage],
    source: Callable[[], QuerySet[Any]],
    lookups: frozenset[str],
    count: int,
    backwards: bool,
    begun: bool,
    using: str,
) -> CompiledQuery:
    """Return the query of such a page, compiled; `begun` tells whether it begins behind a row."""
    meta: Any = pages.model._meta
    asked = {lookup: Param(lookup, meta.get_field(lookup.partition("__")[0])) for lookup in lookups}
    key, pk = (Param(name, field) for name, field in zip(CURSOR, (meta.get_field(pages.key), meta.pk), strict=True))
    window = Window(count, backwards, (key, pk) if begun else None)
    return CompiledQuery(pages.within(source().using(using).filter(**asked), window))


def _turned(field: str) -> str:
    return field.removeprefix("-") if field.startswith("-") else f"-{field}"


def _plain(pk: Any) -> Any:
    return pk if isinstance(pk, int) else str(pk)
