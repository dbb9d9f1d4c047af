"""The base of all admins of heists: read only, and fast on long tables."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import links, search
from .filters import PlayerFilter, RoleFilter
from .formats import column, when
from .names import name_players
from .paginator import BoundedChangeList, BoundedPaginator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


# A number with at most this many digits fits a 64-bit column.
MAX_KEY_DIGITS = 18


class ReadOnlyAdmin(ModelAdmin):
    """Staff read, filter and search rows. Nobody adds, changes or deletes one, not even superusers."""

    # Lookups of a row's players, for the search and the player filter.
    player_paths: tuple[str, ...] = ()
    # Lookups of the players that the list names; `player_paths` where empty. They are selected with the row.
    name_paths: tuple[str, ...] = ()
    # The field of the client's IP address, where the search looks for one.
    address_path: str | None = None

    # The relations whose names a row's page and title show.
    page_select_related: tuple[str, ...] = ()

    actions: Any = ()
    list_per_page = 50
    list_max_show_all = 0
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering: ClassVar[Any] = ("-created_at", "-pk")
    sortable_by: ClassVar[Any] = ("time",)
    search_help_text = gettext_lazy("A player's name (or its beginning), email address or id.")

    class Media:
        css = {"all": ["heists/admin.css"]}

    @admin.display(description=gettext_lazy("time"), ordering="created_at")
    def time(self, row: Any) -> Any:
        return when(row.created_at)

    @admin.display(description=gettext_lazy("player"))
    def player_link(self, row: Any) -> Any:
        return links.player_link(self.admin_site, _at(row, self.player_paths[0]))

    def name_rows(self, rows: Iterable[Any]) -> None:
        """Look up the names of the players of these rows, all at once."""
        paths = self.name_paths or self.player_paths
        name_players([_at(row, path) for row in rows for path in paths])

    def players_of_page(self, row: Any) -> list[Any]:
        """Return the players whom the page of one row names."""
        return [_at(row, path) for path in self.name_paths or self.player_paths]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row of a page, with its players' names looked up: its title is the row's text."""
        row = super().get_object(request, object_id, from_field)
        if row is not None and self._is_page(request):
            name_players(self.players_of_page(row))
        return row

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never on the pages of heists. On other pages, such as a user's, Django asks it before a cascade."""
        match = request.resolver_match
        if match is None or (match.url_name or "").startswith(f"{self.opts.app_label}_"):
            return False
        return super().has_delete_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django also lets staff with the change permission view; here that permission allows nothing.
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Leave out actions of the whole site: one of them might write. Django 6.1 adds `action_location`.
        extra = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **extra)
        return {name: action for name, action in actions.items() if name in self.actions}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        if request.method == "POST":
            # Behind a replica router: what an action or a grant is about.
            queryset = queryset.using(router.db_for_write(self.model))
        if self._is_page(request) and self.page_select_related:
            return queryset.select_related(*self.page_select_related)
        return queryset

    def _is_page(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        return match is not None and (match.url_name or "").endswith("_change")

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._column(name) for name in super().get_list_display(request)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (title, {**options, "fields": [self._column(name) for name in options["fields"]]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _column(self, name: Any) -> Any:
        """Return how to show a column: the same for every time and number of the admin."""
        fields = {field.name: field for field in self.opts.fields}
        return column(fields[name]) if name in fields and not hasattr(self, name) else name

    def get_list_filter(self, request: HttpRequest) -> Any:
        players = (PlayerFilter,) if self.player_paths else ()
        roles = (RoleFilter,) if len(self.player_paths) > 1 else ()
        return [*super().get_list_filter(request), *players, *roles]

    def paths_of_players(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the lookups of the players that a search or filter means: one where a role is chosen, else all."""
        role = request.GET.get(RoleFilter.parameter_name)
        return (role,) if role in self.player_paths else self.player_paths

    def get_search_fields(self, request: HttpRequest) -> Any:
        # Django shows the search box where this is not empty; `get_search_results` searches.
        return self.player_paths

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by IP address where the text is one, by player otherwise."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if self.address_path and (address := search.address(text)):
            return queryset.filter(**{self.address_path: address}), False
        ids = search.player_ids(text)
        if not ids:
            # The list says so: no rows can also mean a player without any.
            request.heists_unknown_player = True  # type: ignore[attr-defined]
            return queryset.none(), False
        return queryset.filter(search.of_players(self.paths_of_players(request), ids)), False

    def finds_by_player(self, request: HttpRequest) -> bool:
        """Return whether the list shows the rows of a few players, each in one of several roles."""
        text = request.GET.get("q", "").strip()
        by_name = bool(text) and not (self.address_path and search.address(text))
        return len(self.player_paths) > 1 and (by_name or PlayerFilter.parameter_name in request.GET)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django lets the query string filter by any column, which would read the whole table.
        filters = self.get_list_filter(request)
        return any(lookup in getattr(f, "parameter_names", [getattr(f, "parameter_name", "")]) for f in filters)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """Run an action, unless a selected value can't be a key: the database would raise an error."""
        try:
            for key in request.POST.getlist("_selected_action"):
                self.opts.pk.clean(self.opts.pk.to_python(key), None)
        except (ValidationError, ValueError, TypeError, OverflowError):
            self.message_user(request, _("The selection is not valid."), messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **kwargs)


def row_id(object_id: str) -> int:
    """Return the primary key in the path of a row's page; 0 where it is none, or beyond any integer column."""
    text = unquote(object_id)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_KEY_DIGITS else 0


def _at(row: Any, path: str) -> Any:
    """Return the player at a lookup path; None where a row on the way is missing."""
    return reduce(lambda found, name: getattr(found, name, None), path.split("__"), row)
