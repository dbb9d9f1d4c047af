"""A host with a UUID user key, the email address as the user name, points on the user itself, and no coins."""

from base_settings import *  # noqa: F403
from base_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "players"]
AUTH_USER_MODEL = "players.Player"
HEISTS = {"ECONOMY": "players.economy.PlayerEconomy"}
# The points are a column of the user, and save() leaves it out.
SILENCED_SYSTEM_CHECKS = ["heists.W018"]
