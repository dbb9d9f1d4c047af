"""A host with a text user key, and points and coins in the ledger of a third party, which has no event types."""

from base_settings import *  # noqa: F403
from base_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "people", "ledger"]
AUTH_USER_MODEL = "people.Person"
HEISTS = {"ECONOMY": "people.economy.LedgerEconomy"}
