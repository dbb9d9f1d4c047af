"""Lists of ten million rows: pages without counting them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import DateTimeField, ExpressionWrapper, F, OrderBy, QuerySet, Value
from django.http import HttpRequest
from django.utils.functional import cached_property

# How many rows a list leads to; whoever looks for an older one filters or searches. Counting stops here, and so does
# OFFSET, whose price is every row it skips.
REACH = 5000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts up to REACH rows and no further, so that neither the count nor the last page reads a whole table."""

    @cached_property
    def found(self) -> int:
        """How many rows there are, at most one more than REACH."""
        rows: Any = self.object_list
        found: int = rows.order_by()[: REACH + 1].count()
        return found

    @property
    def has_more(self) -> bool:
        """Whether rows lie beyond the last page."""
        return self.found > REACH

    @cached_property
    def count(self) -> int:
        return min(self.found, REACH)


class BoundedChangeList(ChangeList):
    """Sorts by nothing but what the list offers: `sortable_by` alone hides the links, and still obeys the address."""

    def get_ordering_field(self, field_name: Any) -> Any:
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Sort a few players' rows after finding them by player.

        PostgreSQL would rather walk the index of times until enough rows are theirs: the whole table, for somebody who
        left long ago. A sum is in no index.
        """
        ordering = super().get_ordering(request, queryset)
        model_admin: Any = self.model_admin
        if not model_admin.finds_by_player(request):
            return ordering
        return [_out_of_index(str(key)) if str(key).lstrip("-") == "created_at" else key for key in ordering]


def _out_of_index(key: str) -> OrderBy:
    time = ExpressionWrapper(F(key.lstrip("-")) + Value(dt.timedelta()), output_field=DateTimeField())
    return OrderBy(time, descending=key.startswith("-"))
