"""The dashboard: numbers and charts of the last 7, 30 or 90 days (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format, get_format, number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import EmailState, HeistStatus
from ..models import Heist, HeistToken, OutboxEmail, Reversal
from ..queries import dashboard, returns, warnings
from . import charts, links
from .formats import number, when
from .names import name_players

if TYPE_CHECKING:
    from .readonly import ReadOnlyAdmin

# The order of the stacked values, from the bottom: outcomes first.
STATUSES = (*HeistStatus.outcomes(), *(status for status in HeistStatus if status not in HeistStatus.outcomes()))
# Balances of this size or more share a column.
MANY_TOKENS = 10


def view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the dashboard to staff who may view heists. An unknown period counts as 30 days."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    site, now = model_admin.admin_site, timezone.now()
    given = request.GET.get("days", "")
    days = int(given) if given in map(str, dashboard.PERIODS_DAYS) else 30
    period = dashboard.period(days, now)
    tokens = _token_columns()
    found = warnings.find(now)
    name_players([*(rank.player for rank in (*period.attackers, *period.victims)), *found.players])
    context = {
        **site.each_context(request),
        "title": _("Heists dashboard"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "days": days,
        "periods": dashboard.PERIODS_DAYS,
        "now": when(now),
        "tiles": _tiles(site, request, period, now),
        "statuses": [(status.label, charts.swatch("heists", place)) for place, status in enumerate(STATUSES)],
        "heists_chart": charts.bars("heists", _("Heists a day by status"), _heist_columns(site, period)),
        "points_chart": charts.bars("points", _("Points moved a day"), _point_columns(site, period)),
        "days_table": [
            (day.date, [number(day.counts.get(status, 0)) for status in STATUSES], number(day.points))
            for day in reversed(period.days)
        ],
        "zone": timezone.get_default_timezone_name(),
        "tokens_chart": charts.bars("tokens", _("Players by tokens held"), tokens),
        "tokens_table": [(column.label, number(column.values[0])) for column in tokens],
        "attackers": _ranks(site, period.attackers),
        "victims": _ranks(site, period.victims),
        "tokens_url": links.list_url(site, HeistToken) if links.may_view(site, request, HeistToken) else None,
        "warned": bool(found),
        "many_rejections": _players(site, found.many_rejections),
        "attacked_often": _players(site, found.attacked_often),
        "shared_addresses": _addresses(site, found.shared_addresses),
        "pairs": _pairs(site, found.pairs),
        "referrers": _pairs(site, found.referrers),
        "rejections_an_hour": warnings.REJECTIONS_PER_HOUR,
        "attacks_a_day": warnings.ATTACKS_PER_DAY,
        "attackers_an_address": warnings.ATTACKERS_PER_ADDRESS,
        "meetings": warnings.MEETINGS,
        "meetings_days": warnings.MEETINGS_DAYS,
    }
    return TemplateResponse(request, "admin/heists/dashboard.html", context)


def _tiles(site: Any, request: HttpRequest, period: dashboard.Period, now: dt.datetime) -> list[dict[str, Any]]:
    outbox, may_view_emails = dashboard.outbox(now), links.may_view(site, request, OutboxEmail)

    def emails(state: EmailState) -> str | None:
        return links.list_url(site, OutboxEmail, state=state.value) if may_view_emails else None

    since = outbox.oldest_due_at
    late = _("the oldest for %(time)s") % {"time": timesince(since, now)} if since and since < now else ""
    rate = "-" if period.success_rate is None else f"{number_format(round(period.success_rate, 1))} %"
    return [
        {"label": _("Attempts"), "value": number(period.attempts)},
        {"label": _("Success rate"), "value": rate},
        {"label": _("Points moved"), "value": number(period.points)},
        _returned(site, request, now),
        {"label": _("Live shields"), "value": number(dashboard.live_shields(now))},
        {
            "label": _("Emails waiting"),
            "value": number(outbox.waiting),
            "url": emails(EmailState.WAITING),
            "more": late,
        },
        {
            "label": _("Emails given up"),
            "value": number(outbox.failed),
            "url": emails(EmailState.FAILED),
            "more": _("in 30 days"),
        },
    ]


def _returned(site: Any, request: HttpRequest, now: dt.datetime) -> dict[str, Any]:
    """Return the tile of the points that staff returned this month."""
    returned = returns.this_month(now)
    heists = ngettext("of %(count)s heist", "of %(count)s heists", returned.heists)
    return {
        "label": _("Points returned this month"),
        "value": number(returned.points),
        "url": links.list_url(site, Reversal) if links.may_view(site, request, Reversal) else None,
        "more": heists % {"count": number(returned.heists)},
    }


def _heist_columns(site: Any, period: dashboard.Period) -> list[charts.Bar]:
    columns = []
    for day in period.days:
        counts = [f"{status.label}: {number(day.counts[status])}" for status in STATUSES if day.counts.get(status)]
        columns.append(
            charts.Bar(
                label=_day_label(day, period),
                values=[day.counts.get(status, 0) for status in STATUSES],
                title="\n".join([_day_title(day, period), *counts]),
                url=links.list_url(site, Heist, period=day.date),
                partial=day is period.days[-1],
            )
        )
    return columns


def _point_columns(site: Any, period: dashboard.Period) -> list[charts.Bar]:
    return [
        charts.Bar(
            label=_day_label(day, period),
            values=[day.points],
            title=f"{_day_title(day, period)}: {number(day.points)}",
            url=links.list_url(site, Heist, status=HeistStatus.SUCCESS.value, period=day.date),
            partial=day is period.days[-1],
        )
        for day in period.days
    ]


def _day_label(day: dashboard.Day, period: dashboard.Period) -> str:
    """Return a day as the axis names it: as short as the language allows."""
    if day is period.days[-1]:
        return _("today")
    # The language's order of day and month, with the month's name abbreviated.
    return date_format(day.date, get_format("MONTH_DAY_FORMAT").replace("F", "M"))


def _day_title(day: dashboard.Day, period: dashboard.Period) -> str:
    title = date_format(day.date)
    return _("%(day)s (until now)") % {"day": title} if day is period.days[-1] else title


def _token_columns() -> list[charts.Bar]:
    players = [0] * (MANY_TOKENS + 1)
    for balance, count in dashboard.token_distribution():
        players[min(balance, MANY_TOKENS)] += count
    labels = [*map(str, range(MANY_TOKENS)), f"{MANY_TOKENS}+"]
    return [
        charts.Bar(
            label=label,
            values=[count],
            title=ngettext(
                "%(count)s player with tokens: %(tokens)s", "%(count)s players with tokens: %(tokens)s", count
            )
            % {"tokens": label, "count": number(count)},
        )
        for label, count in zip(labels, players, strict=True)
    ]


def _ranks(site: Any, ranks: list[dashboard.Rank]) -> list[tuple[Any, str, str]]:
    return [
        (links.player_link(site, rank.player), number(rank.heists), number(rank.points))
        for rank in ranks
        if rank.player
    ]


def _players(site: Any, found: list[warnings.PlayerWarning]) -> list[tuple[Any, str]]:
    return [(links.player_link(site, warning.player, period="7"), number(warning.count)) for warning in found]


def _addresses(site: Any, found: list[warnings.AddressWarning]) -> list[tuple[Any, str]]:
    return [
        (links.link(links.list_url(site, Heist, q=warning.address, period="7"), warning.address), number(warning.count))
        for warning in found
    ]


def _pairs(site: Any, found: list[warnings.PairWarning]) -> list[tuple[Any, Any, Any]]:
    """Return both players, and the number as a link to the outcomes between them, in either role."""
    period, rows = str(warnings.MEETINGS_DAYS), []
    for pair in found:
        between = {"player": pair.attacker.pk, "q": pair.victim.pk, "period": period, "token_spent": "1"}
        count = links.link(links.list_url(site, Heist, **between), number(pair.count))
        players = (links.player_link(site, player, period=period) for player in (pair.attacker, pair.victim))
        rows.append((*players, count))
    return rows
