"""The production settings, with a limit that the load does not reach; the throttles still count every request."""

from config.settings import *  # noqa: F403
from config.settings import HEISTS

ROOT_URLCONF = "benchmarks.urls"
HEISTS = {**HEISTS, "RATE_LIMIT_PER_MINUTE": 1_000_000, "READ_RATE_LIMIT_PER_MINUTE": 1_000_000}
