"""The page to play on. It is a client of the public API and reads nothing of the database but the demo's account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView

from gamification.demo.players import PASSWORD, SIGN_IN
from heists.choices import HeistNotificationType

# A number of each plural form of the page's languages.
PLURAL_FORMS = (("one", 1), ("other", 2))
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PlayView(TemplateView):
    template_name = "play.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # Known passwords are set only while DEBUG is on.
        demo = settings.DEBUG and get_user_model().objects.filter(username=SIGN_IN).exists()
        return super().get_context_data(
            demo={"username": SIGN_IN, "password": PASSWORD} if demo else None,
            notification_types=HeistNotificationType.choices,
            plural_forms=PLURAL_FORMS,
            **kwargs,
        )
