"""Answers that clients poll: each has an ETag, and is a 304 where the client has it already.

See docs/specification.md, "HTTP API".
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, set_response_etag
from rest_framework.request import Request
from rest_framework.response import Response

from .base import PlayerView

# Clients keep the answer, and ask each time whether it is still the same.
CACHE_CONTROL = "private, no-cache"


class PolledView(PlayerView):
    """A view whose answer to GET and HEAD has an ETag: a digest of the rendered answer itself.

    Whatever changes the answer changes the ETag, so an answer must hold nothing that changes by itself, such as the
    seconds that are left. Errors have no ETag, and are not stored.
    """

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if request.method in ("GET", "HEAD") and response.status_code == HTTPStatus.OK:
            response["Cache-Control"] = CACHE_CONTROL
            response.add_post_render_callback(partial(_add_etag, request._request))
        return response


def _add_etag(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the rendered response with its ETag, or the 304 that `If-None-Match` asks for.

    Other conditions are ignored: there is no date to compare, and a read needs no `If-Match`.
    """
    set_response_etag(response)
    if "If-None-Match" in request.headers:
        found = get_conditional_response(request, etag=response.get("ETag"), response=response)
        if found is not None and found.status_code == HTTPStatus.NOT_MODIFIED:
            return found
    return response
