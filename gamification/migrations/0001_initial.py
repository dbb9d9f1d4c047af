import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import heists.economy


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PointEventTypeMaster",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50, unique=True, verbose_name="name")),
                ("description", models.CharField(blank=True, max_length=255, verbose_name="description")),
                (
                    "points",
                    models.BigIntegerField(
                        default=0,
                        help_text="What the event is worth; 0 where each event says it itself.",
                        verbose_name="points",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
            ],
            options={
                "verbose_name": "point event type",
                "verbose_name_plural": "point event types",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="CoinEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text='What it was for, such as "heist:12".',
                        max_length=100,
                        verbose_name="reference",
                    ),
                ),
                ("amount", models.BigIntegerField(help_text="Negative where coins were spent.", verbose_name="amount")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("AWARD", "Award"),
                            ("PURCHASE", "Purchase"),
                            ("SHIELD", "Shield"),
                            ("CORRECTION", "Correction"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="coin_entries",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
            ],
            options={
                "verbose_name": "coin entry",
                "verbose_name_plural": "coin entries",
                "indexes": [
                    models.Index(fields=["user", "-id"], name="coin_entry_of_user"),
                    models.Index(
                        condition=models.Q(("reference", ""), _negated=True),
                        fields=["reference"],
                        name="coin_entry_reference",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="coin_entry_moves_something"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason__in", ["AWARD", "PURCHASE", "SHIELD", "CORRECTION"])),
                        name="coin_entry_reason_in_list",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MonthlyStanding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(help_text="Its first day.", verbose_name="month")),
                ("points", models.BigIntegerField(verbose_name="points")),
                (
                    "player",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="monthly_standings",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
            ],
            options={
                "verbose_name": "monthly standing",
                "verbose_name_plural": "monthly standings",
                "indexes": [models.Index(fields=["-month", "-points", "player"], name="standing_leaderboard")],
                "constraints": [
                    models.UniqueConstraint(fields=("player", "month"), name="standing_once_a_month"),
                    models.CheckConstraint(condition=models.Q(("points__gt", 0)), name="standing_has_points"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PlayerProfile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "points",
                    models.BigIntegerField(default=0, help_text="All points ever earned.", verbose_name="points"),
                ),
                (
                    "monthly_points",
                    models.BigIntegerField(
                        default=0,
                        help_text="The month's points: the leaderboard, and what a heist moves.",
                        verbose_name="monthly points",
                    ),
                ),
                (
                    "month",
                    models.DateField(
                        default=heists.economy.current_month,
                        help_text="The first day of the month that the monthly points belong to.",
                        verbose_name="month",
                    ),
                ),
                ("coins", models.BigIntegerField(default=0, verbose_name="coins")),
                (
                    "referral_code",
                    models.CharField(editable=False, max_length=12, unique=True, verbose_name="referral code"),
                ),
                (
                    "referred_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="referred_players",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="referred by",
                    ),
                ),
                (
                    "referral_waits_since",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="referral waits since"),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="player_profile",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
            ],
            options={
                "verbose_name": "player profile",
                "verbose_name_plural": "player profiles",
                "indexes": [
                    models.Index(fields=["-month", "-monthly_points", "user"], name="profile_leaderboard"),
                    models.Index(
                        condition=models.Q(("referral_waits_since__isnull", False)),
                        fields=["referral_waits_since", "user"],
                        name="profile_referral_waits",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("points__gte", 0)), name="profile_points_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(("monthly_points__gte", 0)), name="profile_monthly_points_not_negative"
                    ),
                    models.CheckConstraint(condition=models.Q(("coins__gte", 0)), name="profile_coins_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(("referred_by", models.F("user")), _negated=True),
                        name="profile_not_referred_by_oneself",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PointEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text='What it was for, such as "heist:12".',
                        max_length=100,
                        verbose_name="reference",
                    ),
                ),
                ("points", models.BigIntegerField(help_text="Negative where points were lost.", verbose_name="points")),
                (
                    "month",
                    models.DateField(
                        default=heists.economy.current_month,
                        help_text=("The first day of the month that the points count for: the profile's at that time."),
                        verbose_name="month",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="point_events",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                (
                    "type",
                    models.ForeignKey(
                        db_column="type",
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="gamification.pointeventtypemaster",
                        to_field="name",
                        verbose_name="type",
                    ),
                ),
            ],
            options={
                "verbose_name": "point event",
                "verbose_name_plural": "point events",
                "indexes": [
                    models.Index(fields=["user", "-id"], name="point_event_of_user"),
                    models.Index(
                        condition=models.Q(("reference", ""), _negated=True),
                        fields=["reference"],
                        name="point_event_reference",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReferralReward",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text='What it was for, such as "heist:12".',
                        max_length=100,
                        verbose_name="reference",
                    ),
                ),
                (
                    "month",
                    models.DateField(help_text="The first day of the month of the sign-up.", verbose_name="month"),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="referral_rewards",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="referrer",
                    ),
                ),
            ],
            options={
                "verbose_name": "referral reward",
                "verbose_name_plural": "referral rewards",
                "indexes": [models.Index(fields=["referrer", "month"], name="referral_reward_of_month")],
                "constraints": [models.UniqueConstraint(fields=("reference",), name="referral_reward_once")],
            },
        ),
    ]
