"""The email address is the user's primary key; points are a ledger without a balance row."""

from base_settings import *  # noqa: F403
from base_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "people"]
AUTH_USER_MODEL = "people.Person"
HEISTS = {"ECONOMY": "people.economy.LedgerEconomy", "SITE_URL": "https://people.example"}
# The API shows keys, and this site accepts it.
SILENCED_SYSTEM_CHECKS = ["heists.W019"]
