"""What the site answers outside the views: problem details under /api/, ordinary pages elsewhere (spec section 6)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt


def problem(status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    """Return problem details as RFC 9457 has them."""
    body = {
        "type": f"urn:heists:problems:{code}",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


def _handler(
    status: HTTPStatus, code: str, detail: str, page: Callable[..., HttpResponse]
) -> Callable[..., HttpResponse]:
    def handle(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.path.startswith("/api/"):
            return problem(status, code, detail)
        return page(request, *args, **kwargs)

    return handle


bad_request = _handler(HTTPStatus.BAD_REQUEST, "bad_request", "The request is malformed.", defaults.bad_request)
forbidden = _handler(HTTPStatus.FORBIDDEN, "permission_denied", "You may not do this.", defaults.permission_denied)
not_found = _handler(
    HTTPStatus.NOT_FOUND, "not_found", "There is nothing here. Every path ends in a slash.", defaults.page_not_found
)
server_error = _handler(
    HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", "Something broke on our side.", defaults.server_error
)


@csrf_exempt
def unknown_path(request: HttpRequest, path: str) -> HttpResponse:
    """Answer any path under /api/ that leads nowhere, with DEBUG on too."""
    return not_found(request)
