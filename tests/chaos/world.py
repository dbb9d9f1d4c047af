"""The rules of the chaos run: without cooldowns and limits, so that every request may move points."""

GAME = {
    "DEBUG": "false",
    "INSECURE_HTTP": "true",
    "WEB_CONCURRENCY": "3",
    "HEIST_COOLDOWN_HOURS": "0",
    "HEIST_TARGET_COOLDOWN_HOURS": "0",
    "HEIST_MAX_HEISTS_PER_DAY": "1000000",
    "HEIST_MONTHLY_LOSS_PERCENT": "100",
    "HEIST_RATE_LIMIT_PER_MINUTE": "1000000",
}
