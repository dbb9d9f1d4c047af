"""Pages of the lists: by cursor, so that page 1000 costs what page 1 costs (spec section 6).

DRF's own cursor counts rows of equal position by an offset and stops at 1000 of them; a leaderboard where 5000 players
have no points yet needs the primary key in the cursor.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.db import DataError
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
# Far more than any cursor that was handed out.
MAX_CURSOR = 1000


class PageCursor(BasePagination):
    """Pages in the order of (-key, pk or -pk); `page_size` asks for another number than 20, 100 at most.

    A cursor holds the key and the primary key of the row it stands behind.
    """

    key = "created_at"
    # The second half of the order: newest first means the largest id first.
    pk_descending = True
    parse_key: Callable[[Any], Any] = staticmethod(parse_datetime)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the page. Raises NotFound for a cursor that nobody handed out."""
        self.request = request
        size = self.page_size()
        backwards, position = False, None
        if text := request.query_params.get("cursor"):
            backwards, position = self.decode(text, queryset.model)
        rows = queryset.order_by(*self.order(backwards))
        if position:
            rows = rows.filter(self.beyond(position, backwards))
        try:
            page = self.take(rows, size + 1, backwards)
        except (DataError, OverflowError, ValueError) as error:
            raise self.unknown_cursor() from error
        more, page = len(page) > size, page[:size]
        if backwards:
            page.reverse()
        has_previous, has_next = (more, True) if backwards else (position is not None, more)
        self.next = self.link(False, page[-1]) if page and has_next else None
        self.previous = self.link(True, page[0]) if page and has_previous else None
        return page

    def take(self, queryset: Any, count: int, backwards: bool) -> list[Any]:
        """Return the first so many rows of a queryset that is ordered and begins where the page begins."""
        return list(queryset[:count])

    def page_size(self) -> int:
        """Return the page's length. Raises ValidationError for what is no positive number; more than 100 is 100."""
        text = self.request.query_params.get("page_size", str(DEFAULT_PAGE_SIZE))
        if not re.fullmatch("[1-9][0-9]{0,17}", text, re.ASCII):
            raise ValidationError({"page_size": ErrorDetail(str(_("Write a number from 1 to 100.")), code="invalid")})
        return min(MAX_PAGE_SIZE, int(text))

    def order(self, backwards: bool) -> tuple[str, str]:
        key, pk = f"-{self.key}", "-pk" if self.pk_descending else "pk"
        return (_turned(key), _turned(pk)) if backwards else (key, pk)

    def beyond(self, position: tuple[Any, Any], backwards: bool) -> Q:
        """The rows behind a position. The first condition alone bounds the index; the second settles the ties."""
        key, pk = position
        key_side = "gt" if backwards else "lt"
        pk_side = "lt" if self.pk_descending != backwards else "gt"
        return Q(**{f"{self.key}__{key_side}e": key}) & (
            Q(**{f"{self.key}__{key_side}": key}) | Q(**{f"pk__{pk_side}": pk})
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


def _turned(field: str) -> str:
    return field.removeprefix("-") if field.startswith("-") else f"-{field}"


def _plain(pk: Any) -> Any:
    return pk if isinstance(pk, int) else str(pk)
