"""Creates the data of an old site."""

import datetime as dt

import django

django.setup()

from club.models import Event, EventType, ScoreCard  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402

START = dt.datetime(2019, 3, 1, tzinfo=dt.UTC)

users = User.objects.bulk_create(
    User(
        username=f"member{n}",
        email=f"member{n}@example.com",
        is_active=n % 7 > 0,
        date_joined=START + dt.timedelta(days=8 * n),
    )
    for n in range(300)
)
ScoreCard.objects.bulk_create(
    ScoreCard(user=user, month=7 * n % 500, total=9 * n, gems=n) for n, user in enumerate(users) if n > 50
)
kinds = EventType.objects.bulk_create(EventType(name=name) for name in ("VISIT", "PURCHASE"))
Event.objects.bulk_create(Event(user=user, type=kinds[n % 2], points=n % 9) for n, user in enumerate(users * 5))
