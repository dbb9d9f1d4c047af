"""What the doors on the web share, the API's and the admin's, which do not import one another."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction


def outside_atomic_requests(view: Any) -> Any:
    """Keep a host's ATOMIC_REQUESTS from opening a transaction around this view: the services open durable ones."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
