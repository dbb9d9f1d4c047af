"""Routers that send reads to a replica, as Django's documentation has them."""

from __future__ import annotations

import sys
import traceback
from types import FrameType
from typing import Any

from tests import ROOT

REPLICA = "replica"
# Code that writes: what it reads, it decides by.
WRITING = tuple(
    str(ROOT / path)
    for path in (
        "heists/services",
        "heists/emails/outbox.py",
        "heists/management/commands",
        "gamification/services.py",
        "gamification/economy.py",
    )
)
# Views and the admin write where the request may.
SERVING = tuple(str(ROOT / path) for path in ("heists/api", "heists/admin", "gamification"))
APPS = ("heists", "gamification", "auth")
DJANGOS = ("auth.Permission", "auth.Group")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class ReplicaRouter:
    """Reads from the replica, writes to the primary: the router of Django's documentation."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return REPLICA

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True


class StrictRouter(ReplicaRouter):
    """Lets every read have today's rows, except those that decide or answer a write: they go to a replica that lags.

    Which those are, the stack says: a service or command is running, or a request that is not a plain reading one.
    """

    # Where such reads came from, in this test.
    misread: list[str] = []

    def db_for_read(self, model: Any, **hints: Any) -> str:
        # Content types and permissions are Django's, and so is who signs in.
        if (
            model._meta.label in DJANGOS
            or model._meta.app_label not in APPS
            or (frame := writer(sys._getframe(1))) is None
        ):
            return "default"
        self.misread.append(f"{model._meta.label}: {''.join(traceback.format_stack(frame, 1)).strip()}")
        return REPLICA


def writer(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of ours that takes part in a write; None where nothing is being written."""
    innermost = None
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith((*WRITING, *SERVING)):
            innermost = innermost or frame
            # Who signs in is read by Django and DRF.
            if frame.f_code.co_name in ("perform_authentication", "sign_in_page"):
                return None
            if name.startswith(WRITING):
                return innermost
            request = frame.f_locals.get("request")
            if getattr(request, "method", "GET") not in SAFE_METHODS:
                return innermost
        frame = frame.f_back
    return None
