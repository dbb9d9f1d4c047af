"""An old site: Django's own users, a score card for most of them, and event types."""

import os

from base_settings import *  # noqa: F403
from base_settings import INSTALLED_APPS

INSTALLED_APPS = [app for app in [*INSTALLED_APPS, "club"] if app != "heists"]
if "WITH_HEISTS" in os.environ:
    INSTALLED_APPS += ["heists"]
else:
    ROOT_URLCONF = "urls_before"
HEISTS = {"ECONOMY": "club.economy.ClubEconomy", "POINT_EVENT_TYPE_MODEL": "club.EventType"}
