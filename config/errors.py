"""Errors outside of any view: problem details under /api/, HTML pages elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext, gettext_noop
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from heists.api.problems import MEDIA_TYPE, problem_body


def problem_response(status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    """Return the problem as a response that needs no DRF view."""
    return JsonResponse(problem_body(status, code, detail), status=status, content_type=MEDIA_TYPE)


def _handler(
    status: HTTPStatus, code: str, detail: str, page: Callable[..., HttpResponse]
) -> Callable[..., HttpResponse]:
    def handle(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.path.startswith("/api/"):
            return problem_response(status, code, gettext(detail))
        return page(request, *args, **kwargs)

    return handle


bad_request = _handler(
    HTTPStatus.BAD_REQUEST, "bad_request", gettext_noop("The request is malformed."), defaults.bad_request
)
forbidden = _handler(
    HTTPStatus.FORBIDDEN, "permission_denied", gettext_noop("You may not do this."), defaults.permission_denied
)
not_found = _handler(
    HTTPStatus.NOT_FOUND,
    "not_found",
    gettext_noop("This path does not exist. Every path ends in a slash."),
    defaults.page_not_found,
)
server_error = _handler(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "server_error",
    gettext_noop("The server could not answer this request."),
    defaults.server_error,
)


@csrf_exempt
def unknown_path(request: HttpRequest, path: str) -> HttpResponse:
    """Answer any path under /api/ that leads nowhere, with DEBUG on too."""
    return not_found(request)
