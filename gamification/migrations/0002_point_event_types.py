"""The seven original point event types (docs/specification.md, "The two apps")."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

EVENT_TYPES = [
    ("SIGNUP", "Opened an account", 100),
    ("FIRST_CHECKIN_DEAL", "First check-in at a deal", 50),
    ("CHECKIN", "Check-in", 10),
    ("COIN_PURCHASE", "Bought coins", 20),
    ("ACHIEVEMENT_UNLOCK", "Unlocked an achievement", 25),
    ("LOYALTY_BONUS", "Came back again and again", 15),
    ("REFERRAL_BONUS", "Referred another player", 50),
]


def add_event_types(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    event_types = apps.get_model("gamification", "PointEventTypeMaster").objects.using(schema_editor.connection.alias)
    for name, description, points in EVENT_TYPES:
        event_types.get_or_create(name=name, defaults={"description": description, "points": points})


def remove_event_types(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the types that no event refers to; the others stay, and migrating forwards again keeps them."""
    alias = schema_editor.connection.alias
    used = apps.get_model("gamification", "PointEvent").objects.using(alias).order_by().values("type_id").distinct()
    event_types = apps.get_model("gamification", "PointEventTypeMaster").objects.using(alias)
    event_types.filter(name__in=[name for name, *_rest in EVENT_TYPES]).exclude(name__in=used).delete()


class Migration(migrations.Migration):
    dependencies = [("gamification", "0001_initial")]

    operations = [migrations.RunPython(add_event_types, remove_event_types, elidable=False)]
