"""Pages of long lists without counting the table."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import DateTimeField, ExpressionWrapper, F, OrderBy, QuerySet, Value
from django.http import HttpRequest
from django.utils.functional import cached_property

from .formats import number

# Rows that a list leads to; an older row is found by filter or search. Counting stops here, and so does OFFSET, which
# reads every row it skips.
MAX_ROWS = 5000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts up to MAX_ROWS, so that neither the count nor the last page reads a whole table."""

    @cached_property
    def found(self) -> int:
        """The number of rows, at most one more than MAX_ROWS."""
        rows: Any = self.object_list
        found: int = rows.order_by()[: MAX_ROWS + 1].count()
        return found

    @property
    def has_more(self) -> bool:
        """Whether rows lie beyond the last page."""
        return self.found > MAX_ROWS

    @cached_property
    def count(self) -> int:
        return min(self.found, MAX_ROWS)


class BoundedChangeList(ChangeList):
    """Sorts only by columns of `sortable_by`; Django hides the other links and still obeys the query string."""

    unknown_player = False

    @property
    def grouped_count(self) -> str:
        """The number of rows as people read it."""
        return number(self.result_count)

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        self.unknown_player = getattr(request, "heists_unknown_player", False)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        model_admin: Any = self.model_admin
        match = request.resolver_match
        # The export has a list, too, whose page nobody sees.
        if match is not None and (match.url_name or "").endswith("_changelist"):
            # Runs the query of the page; the template reads the same rows.
            model_admin.name_rows(self.result_list)

    def get_ordering_field(self, field_name: Any) -> Any:
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Sort by an expression that no index has, where the rows are found by player.

        PostgreSQL would otherwise walk the index of times until it has found enough rows of the player: the whole
        table, for a player who left long ago.
        """
        ordering = super().get_ordering(request, queryset)
        model_admin: Any = self.model_admin
        if not model_admin.finds_by_player(request):
            return ordering
        return [_out_of_index(str(key)) if str(key).lstrip("-") == "created_at" else key for key in ordering]


def _out_of_index(key: str) -> OrderBy:
    time = ExpressionWrapper(F(key.lstrip("-")) + Value(dt.timedelta()), output_field=DateTimeField())
    return OrderBy(time, descending=key.startswith("-"))
