"""The filtered list of heists as CSV, streamed in constant memory."""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils import timezone

from .. import user_model
from ..economy import get_economy
from . import links

if TYPE_CHECKING:
    from .readonly import ReadOnlyAdmin

logger = logging.getLogger(__name__)

# Rows in one piece of the response, and in one fetch from the database cursor.
CHUNK_ROWS = 2000
# A spreadsheet runs a cell that begins like this as a formula, and players choose their own names.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# The header of each column, and the lookup of its value. The names of a player are looked up for many rows at once:
# the user name, and the name that players see.
COLUMNS = {
    "id": "pk",
    "created_at": "created_at",
    "attacker_id": "attacker_id",
    "attacker": "attacker_id",
    "attacker_name": "attacker_id",
    "victim_id": "victim_id",
    "victim": "victim_id",
    "victim_name": "victim_id",
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
# The places of the columns of names, and which name each has.
NAMES = {
    place: "name" if column.endswith("_name") else "username"
    for place, column in enumerate(COLUMNS)
    if column in ("attacker", "attacker_name", "victim", "victim_name")
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
    values = rows.select_related(None).values_list(*COLUMNS.values())
    logger.info("heists exported by user %s: %s", request.user.pk, query.urlencode() or "all")
    name = f"heists-{timezone.localtime():%Y-%m-%d-%H%M}.csv"
    return StreamingHttpResponse(
        lines(COLUMNS, named(values.iterator(chunk_size=CHUNK_ROWS), using=rows.db)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def lines(head: Iterable[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
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


def named(rows: Iterator[tuple[Any, ...]], *, using: str) -> Iterator[list[Any]]:
    """Yield the rows with names in the place of the keys that stand for them; takes two statements for many rows."""
    while piece := list(islice(rows, CHUNK_ROWS)):
        keys = {row[place] for row in piece for place in NAMES}
        players = get_user_model()._default_manager.using(using).in_bulk(keys)
        shown = get_economy().names(players.values())
        names: dict[str, Any] = {
            "username": {key: user_model.username(player) for key, player in players.items()},
            "name": shown,
        }
        for row in piece:
            yield [names[NAMES[at]].get(value, "") if at in NAMES else value for at, value in enumerate(row)]


def cell(value: Any) -> Any:
    """Return one value as a cell: times in UTC, and an apostrophe before text that would run as a formula."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
