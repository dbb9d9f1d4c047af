"""The filtered list of heists as CSV, streamed in constant memory."""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils import timezone

from . import links

if TYPE_CHECKING:
    from .readonly import ReadOnlyAdmin

logger = logging.getLogger(__name__)

# Rows in one piece of the response, and in one fetch from the database cursor.
CHUNK_ROWS = 2000
# A spreadsheet runs a cell that begins like this as a formula, and players choose their own names.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def columns() -> dict[str, str]:
    """Return the header of each column and the lookup of its value."""
    name = get_user_model().USERNAME_FIELD
    return {
        "id": "pk",
        "created_at": "created_at",
        "attacker_id": "attacker_id",
        "attacker": f"attacker__{name}",
        "victim_id": "victim_id",
        "victim": f"victim__{name}",
        "status": "status",
        "failure_code": "failure_code",
        "failure_reason": "failure_reason",
        "points_stolen": "points_stolen",
        "attacker_points_before": "attacker_points_before",
        "attacker_points_after": "attacker_points_after",
        "victim_points_before": "victim_points_before",
        "victim_points_after": "victim_points_after",
        "token_spent": "token_spent",
        "ip_address": "ip_address",
        "retry_at": "retry_at",
        "rule_set_id": "rule_set_id",
    }


def view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponseBase:
    """Stream the rows that the list shows for the same query string, on all its pages."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    query = request.GET.copy()
    query.pop("p", None)
    request.GET = query  # type: ignore[assignment]  # the file has all pages of the list
    try:
        rows = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        return HttpResponseRedirect(links.list_url(model_admin.admin_site, model_admin.model) or "")
    head = columns()
    values = rows.select_related(None).values_list(*head.values())
    logger.info("heists exported by user %s: %s", request.user.pk, query.urlencode() or "all")
    name = f"heists-{timezone.localtime():%Y-%m-%d-%H%M}.csv"
    return StreamingHttpResponse(
        lines(head, values.iterator(chunk_size=CHUNK_ROWS)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def lines(head: Iterable[str], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    """Yield the file in pieces of many rows: a piece for each row would be slower than the database."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(head)
    while True:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        piece = list(islice(rows, CHUNK_ROWS))
        if not piece:
            return
        writer.writerows([cell(value) for value in row] for row in piece)


def cell(value: Any) -> Any:
    """Return one value as a cell: times in UTC, and an apostrophe before text that would run as a formula."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
