"""The site's URLs, and the bare view that the endpoints are compared with."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import urlpatterns as site
from heists.models import HeistToken


class BareView(APIView):
    """The cheapest possible endpoint: it authenticates a player and runs one query."""

    def get(self, request: Request) -> Response:
        return Response(HeistToken.objects.filter(user=request.user.pk).values("balance").first())


urlpatterns = [path("bare/", BareView.as_view()), *site]
