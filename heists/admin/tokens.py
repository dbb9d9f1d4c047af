"""Tokens: the list of balances, and the page that grants tokens."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..choices import GrantReason
from ..db.atomic import outside_atomic_requests
from ..errors import HeistError
from ..models import Heist, HeistToken, TokenGrant
from ..models.tokens import GRANT_TEXT_MAX_LENGTH
from ..services import grant_tokens
from ..services.tokens import MAX_GRANT_TOKENS
from . import links, search
from .formats import number
from .names import name_players, player_name
from .readonly import ReadOnlyAdmin

# Players that one page grants to; their keys are in its URL.
MAX_PLAYERS = 100


class GrantForm(forms.Form):
    """Amount and reason. The nonce makes repeated submissions of one page a single grant."""

    nonce = forms.UUIDField(widget=forms.HiddenInput)
    amount = forms.IntegerField(
        label=gettext_lazy("Tokens for each player"), min_value=1, max_value=MAX_GRANT_TOKENS, initial=1
    )
    note = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=GRANT_TEXT_MAX_LENGTH,
        help_text=gettext_lazy("Kept with the grant and in the log."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


@admin.register(HeistToken)
class HeistTokenAdmin(ReadOnlyAdmin):
    """The list of tokens, one row a player, and the action that grants tokens."""

    change_form_template = "admin/heists/heisttoken/change_form.html"
    player_paths = ("user",)
    list_display = ("player", "balance_now", "total_earned", "total_spent", "last_spent_at", "last_earned_at")
    list_select_related = page_select_related = ("user",)
    fields = ("user", "balance", "total_earned", "total_spent", "last_spent_at", "last_earned_at", "created_at")
    readonly_fields = ("created_at",)
    ordering = ("-pk",)
    sortable_by = ("balance_now",)
    actions = ("grant_tokens",)

    @admin.display(description=gettext_lazy("player"))
    def player(self, token: HeistToken) -> Any:
        return player_name(token.user)

    @admin.display(description=gettext_lazy("balance"), ordering="balance")
    def balance_now(self, token: HeistToken) -> str:
        return number(token.balance)

    def has_grant_permission(self, request: HttpRequest) -> bool:
        """Return whether this member of staff may grant tokens; the view permission is not enough."""
        user: Any = request.user
        return self.has_view_permission(request) and bool(user.has_perm("heists.grant_tokens"))

    def get_urls(self) -> list[Any]:
        view = outside_atomic_requests(self.admin_site.admin_view(self.grant_view))
        return [path("grant/", view, name="heists_heisttoken_grant"), *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        player_id = kwargs["obj"].user_id
        if links.may_view(self.admin_site, request, Heist):
            context["heists_url"] = links.list_url(self.admin_site, Heist, player=player_id)
        context["grant_url"] = links.grant_url(self.admin_site, request, [player_id])
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=gettext_lazy("Grant tokens"), permissions=["grant"])
    def grant_tokens(self, request: HttpRequest, queryset: QuerySet[HeistToken]) -> HttpResponse | None:
        """Redirect to the page that asks for amount and reason."""
        queryset = queryset.using(router.db_for_write(HeistToken))
        ids = list(queryset.order_by("pk").values_list("user", flat=True)[: MAX_PLAYERS + 1])
        if len(ids) > MAX_PLAYERS:
            text = _("Select at most %(most)s players; the grant_tokens command takes more.") % {"most": MAX_PLAYERS}
            self.message_user(request, text, messages.ERROR)
            return None
        return HttpResponseRedirect(links.grant_url(self.admin_site, request, ids) or "")

    def grant_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for amount and reason; on POST, grant to each player once and report the result."""
        if not self.has_grant_permission(request):
            raise PermissionDenied
        players = search.players_by_id(request.GET.getlist("player")[:MAX_PLAYERS])
        if not players:
            self.message_user(request, _("Select the players who get tokens."), messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        name_players(players)
        form = GrantForm(request.POST if request.method == "POST" else None, initial={"nonce": uuid.uuid4()})
        # If a grant failed, show the page again with the same nonce: sending it then grants only what failed.
        if request.method == "POST" and form.is_valid() and self._grant(request, players, **form.cleaned_data):
            return HttpResponseRedirect(self._after(players))
        sentence = ngettext("This player gets tokens:", "Each of these %(count)s players gets tokens:", len(players))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Grant tokens"),
            "opts": self.opts,
            "media": self.media,
            "crumbs": [(self._list_url(), capfirst(self.opts.verbose_name_plural))],
            "sentences": [sentence % {"count": number(len(players))}],
            "items": [player_name(player) for player in players],
            "form": form,
            "submit": _("Yes, grant tokens"),
            "cancel_url": self._list_url(),
        }
        return TemplateResponse(request, "admin/heists/confirm.html", context)

    def _after(self, players: list[Any]) -> str:
        only = {"player": players[0].pk} if len(players) == 1 else {}
        return self._list_url(**only)

    def _list_url(self, **params: Any) -> str:
        return links.list_url(self.admin_site, HeistToken, **params) or ""

    def _grant(self, request: HttpRequest, players: list[Any], *, nonce: uuid.UUID, amount: int, note: str) -> bool:
        """Grant to each player, report each result, and return whether nothing failed."""
        done: list[TokenGrant] = []
        for player in players:
            try:
                done.append(
                    grant_tokens(
                        player=player,
                        amount=amount,
                        reason=GrantReason.STAFF,
                        source=f"staff:{nonce.hex}:{player.pk}",
                        granted_by=request.user,
                        note=note,
                    )
                )
            except HeistError as error:
                text = _("No tokens for %(player)s: %(error)s") % {"player": player_name(player), "error": error}
                self.message_user(request, text, messages.ERROR)
        new = self._log(request, done)
        if new:
            text = ngettext(
                "Tokens granted to %(count)s player: %(amount)s.",
                "Tokens granted to each of %(count)s players: %(amount)s.",
                len(new),
            ) % {"amount": number(amount), "count": number(len(new))}
            self.message_user(request, text, messages.SUCCESS)
        for grant in done:
            if grant not in new:
                text = _("Nothing was granted to %(player)s: this page was sent before (tokens: %(amount)s).") % {
                    "player": player_name(grant.player),
                    "amount": number(grant.amount),
                }
                self.message_user(request, text, messages.WARNING)
        return len(done) == len(players)

    def _log(self, request: HttpRequest, grants: list[TokenGrant]) -> list[TokenGrant]:
        """Log each grant, for the grant and for the token row; return the grants that were not logged before."""
        kind = ContentType.objects.get_for_model(TokenGrant)
        keys = [str(grant.pk) for grant in grants]
        entries = LogEntry.objects.using(router.db_for_write(LogEntry)).filter(content_type=kind, object_id__in=keys)
        logged = set(entries.values_list("object_id", flat=True))
        new = [grant for grant in grants if str(grant.pk) not in logged]
        written = HeistToken.objects.using(router.db_for_write(HeistToken)).select_related("user")
        tokens = {token.user_id: token for token in written.filter(user__in=[grant.player_id for grant in new])}
        # The log's entries name the rows.
        name_players([row for grant in new for row in (grant.player, tokens[grant.player_id].user)])
        for grant in new:
            for row, flag in ((grant, ADDITION), (tokens[grant.player_id], CHANGE)):
                text = f"Tokens granted: {grant.amount}. {grant.note}"
                LogEntry.objects.log_actions(request.user.pk or 0, [row], flag, text, single_object=True)
        return new
