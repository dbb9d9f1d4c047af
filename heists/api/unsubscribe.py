"""The page behind a email's unsubscribe link: plain HTML, for whoever holds the link (spec section 5)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import classonlymethod, method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from ..db.atomic import outside_atomic_requests
from ..emails import unsubscribe
from ..errors import Busy
from ..services import set_email_preference


# No login and no CSRF token: mail providers send the POST by themselves (RFC 8058), and the signed link is the proof.
@method_decorator([csrf_exempt, never_cache], name="dispatch")
class UnsubscribeView(View):
    """GET asks, since mail scanners follow every link; POST does it."""

    http_method_names = ["get", "head", "post"]

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_atomic_requests(super().as_view(**initkwargs))

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        wish = unsubscribe.read(token)
        if wish is None:
            return self._page(request, "unknown", status=404)
        return self._page(request, "ask", type=wish.type.label)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        wish = unsubscribe.read(token)
        if wish is None:
            return self._page(request, "unknown", status=404)
        only_this = request.POST.get("emails") == "type"
        # Somebody whose account is gone gets no emails; to say so would tell who has an account.
        if get_user_model()._default_manager.filter(pk=wish.player_id).exists():
            try:
                set_email_preference(
                    player_id=wish.player_id, **({"mute": [wish.type]} if only_this else {"muted": True})
                )
            except Busy:
                return self._page(request, "busy", status=503)
        return self._page(request, "done_type" if only_this else "done_all", type=wish.type.label)

    def _page(self, request: HttpRequest, state: str, *, status: int = 200, **context: Any) -> HttpResponse:
        response = render(request, "heists/unsubscribe.html", {"state": state, **context}, status=status)
        # The address is a key: it must not travel on to other sites, or into a search engine.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        return response
