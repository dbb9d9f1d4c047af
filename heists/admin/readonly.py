"""What all admins of heists share: no handles, and pages that stay fast however long the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import search
from .filters import PlayerFilter
from .paginator import BoundedChangeList, BoundedPaginator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows are read, filtered and searched; nobody adds, changes or deletes one, superusers included."""

    # Where a row's players are; the search and the player filter look there.
    player_paths: tuple[str, ...] = ()
    # The column of a client's address, where there is one to search by.
    address_path: str | None = None

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
        return row.created_at

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never on the pages of heists; elsewhere, say on a user's page, Django asks whether a cascade may go here."""
        match = request.resolver_match
        if match is None or (match.url_name or "").startswith(f"{self.opts.app_label}_"):
            return False
        return super().has_delete_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The permission to change opens nothing here, so it does not open the view either.
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Without the actions a host gave to its whole site: one of them might write. Django 6.1 names a location.
        where = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **where)
        return {name: action for name, action in actions.items() if name in self.actions}

    def get_list_filter(self, request: HttpRequest) -> Any:
        players = (PlayerFilter,) if self.player_paths else ()
        return [*super().get_list_filter(request), *players]

    def get_search_fields(self, request: HttpRequest) -> Any:
        # Only says that there is a search box; `get_search_results` does the work.
        return self.player_paths

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by address where the text is one, by player otherwise."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if self.address_path and (address := search.address(text)):
            return queryset.filter(**{self.address_path: address}), False
        ids = search.player_ids(text)
        return (queryset.filter(search.of_players(self, ids)) if ids else queryset.none()), False

    def finds_by_player(self, request: HttpRequest) -> bool:
        """Whether this list is one of a few players' rows, through one role or another."""
        text = request.GET.get("q", "").strip()
        by_name = bool(text) and not (self.address_path and search.address(text))
        return len(self.player_paths) > 1 and (by_name or PlayerFilter.parameter_name in request.GET)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django lets the address filter by any column of the table, which would read all of it.
        return lookup in {known.parameter_name for known in self.get_list_filter(request)}

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """Carry out an action, unless what was ticked can't be a key: Django would ask the database and fail."""
        try:
            for key in request.POST.getlist("_selected_action"):
                self.opts.pk.clean(self.opts.pk.to_python(key), None)
        except (ValidationError, ValueError, TypeError, OverflowError):
            self.message_user(request, _("That selection can't be read."), messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **kwargs)
