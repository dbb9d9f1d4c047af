"""The site's addresses, and the bare view that the endpoints are compared with."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import urlpatterns as site
from heists.models import HeistToken


class BareView(APIView):
    """What any endpoint costs here that signs its player in and runs one query."""

    def get(self, request: Request) -> Response:
        found: dict[str, Any] | None = HeistToken.objects.filter(user=request.user.pk).values("balance").first()
        return Response(found)


urlpatterns = [path("bare/", BareView.as_view()), *site]
