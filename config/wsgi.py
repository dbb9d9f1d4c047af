"""The site as a WSGI application."""

import os
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_wsgi_application()


class _Malformed(Exception):
    pass


class _Request(WSGIRequest):
    def __init__(self, environ: dict[str, Any]) -> None:
        try:
            super().__init__(environ)
        except (BadRequest, ValueError) as error:  # Django 6.1 raises the one, 6.0 the other
            raise _Malformed from error


_django.request_class = _Request


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer 400 to a request that Django 6 can't construct, such as one with an endless Content-Type.

    Django raises before the first middleware runs, so without this the client would get a 500.
    """
    try:
        return _django(environ, start_response)
    except _Malformed:
        from .errors import problem_response

        answer = problem_response(HTTPStatus.BAD_REQUEST, "bad_request", "The request is malformed.")
        headers = [("Content-Type", answer["Content-Type"]), ("Content-Length", str(len(answer.content)))]
        start_response("400 Bad Request", headers)
        return [answer.content]
