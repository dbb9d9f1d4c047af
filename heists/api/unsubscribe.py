"""The HTML page of an email's unsubscribe link. See docs/specification.md, "Notifications"."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import classonlymethod, method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from .. import conf
from ..db.atomic import outside_atomic_requests
from ..emails import unsubscribe
from ..errors import Busy, UnknownPlayer
from ..services import set_email_preference
from .problems import RETRY_AFTER_SECONDS


# No sign-in and no CSRF token: mail providers send the POST themselves (RFC 8058), and the link is signed.
@method_decorator([login_not_required, csrf_exempt, never_cache], name="dispatch")
class UnsubscribeView(View):
    """GET asks for confirmation, because mail scanners follow links; POST turns the emails off."""

    http_method_names = ["get", "head", "post"]

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_atomic_requests(super().as_view(**initkwargs))

    def get(self, request: HttpRequest, *args: Any, token: str, **kwargs: Any) -> HttpResponse:
        subscription = unsubscribe.read(token)
        if subscription is None:
            return self._page(request, "unknown", status=404)
        return self._page(request, "ask", type=subscription.type.label)

    def post(self, request: HttpRequest, *args: Any, token: str, **kwargs: Any) -> HttpResponse:
        subscription = unsubscribe.read(token)
        if subscription is None:
            return self._page(request, "unknown", status=404)
        only_this_type = request.POST.get("emails") == "type"
        choice: dict[str, Any] = {"mute": [subscription.type]} if only_this_type else {"muted": True}
        # The answer for a deleted account is the same, so that it does not reveal which accounts exist.
        with suppress(UnknownPlayer):
            try:
                set_email_preference(player_id=subscription.player_id, **choice)
            except Busy:
                return self._page(request, "busy", status=503)
        return self._page(request, "done_type" if only_this_type else "done_all", type=subscription.type.label)

    def _page(self, request: HttpRequest, state: str, *, status: int = 200, **context: Any) -> HttpResponse:
        values = {"state": state, "site_url": conf.site_url(), **context}
        response = render(request, "heists/unsubscribe.html", values, status=status)
        # The address is a credential: keep it out of other sites' logs and of search engines.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
