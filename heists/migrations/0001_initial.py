import django.core.serializers.json
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RuleSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_cost", models.PositiveIntegerField()),
                ("tokens_per_referral", models.PositiveIntegerField()),
                ("steal_percentage", models.PositiveSmallIntegerField()),
                ("max_steal_points", models.PositiveIntegerField()),
                ("min_target_points", models.PositiveIntegerField()),
                ("cooldown_hours", models.PositiveIntegerField()),
                ("target_cooldown_hours", models.PositiveIntegerField()),
                ("max_heists_per_day", models.PositiveIntegerField()),
                ("pair_cooldown_hours", models.PositiveIntegerField()),
                ("monthly_loss_percent", models.PositiveSmallIntegerField()),
                ("shield_cost", models.PositiveIntegerField()),
                ("shield_days", models.PositiveIntegerField()),
                ("newcomer_days", models.PositiveIntegerField(db_default=0, default=0)),
                ("truce_enabled", models.BooleanField(db_default=True, default=True)),
                ("time_zone", models.CharField(max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
            ],
            options={
                "verbose_name": "rule set",
                "verbose_name_plural": "rule sets",
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "token_cost",
                            "tokens_per_referral",
                            "steal_percentage",
                            "max_steal_points",
                            "min_target_points",
                            "cooldown_hours",
                            "target_cooldown_hours",
                            "max_heists_per_day",
                            "pair_cooldown_hours",
                            "monthly_loss_percent",
                            "shield_cost",
                            "shield_days",
                            "newcomer_days",
                            "truce_enabled",
                            "time_zone",
                        ),
                        name="heists_ruleset_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RuleChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("RULES", "Rules"), ("SWITCH", "Switch")], max_length=6, verbose_name="kind"
                    ),
                ),
                ("takes_effect_at", models.DateTimeField(verbose_name="takes effect")),
                ("enabled", models.BooleanField(blank=True, null=True, verbose_name="switched on")),
                ("reason", models.CharField(max_length=255, verbose_name="reason")),
                (
                    "changed_by_name",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=255, verbose_name="changed by (name)"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="time",
                    ),
                ),
                (
                    "changed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="changed by",
                    ),
                ),
                (
                    "rule_set",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="heists.ruleset",
                        verbose_name="rule set",
                    ),
                ),
            ],
            options={
                "verbose_name": "rule change",
                "verbose_name_plural": "rule changes",
                "permissions": [("change_rules", "Can change the rules, and switch heists off and on")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "takes_effect_at"), name="heists_rulechange_one_a_moment"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("enabled__isnull", True), ("kind", "RULES"), ("rule_set__isnull", False)),
                            models.Q(("enabled__isnull", False), ("kind", "SWITCH"), ("rule_set__isnull", True)),
                            _connector="OR",
                        ),
                        name="heists_rulechange_kind_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HeistToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_token",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                ("balance", models.IntegerField(db_default=0, default=0, verbose_name="balance")),
                ("total_earned", models.IntegerField(db_default=0, default=0, verbose_name="total earned")),
                ("total_spent", models.IntegerField(db_default=0, default=0, verbose_name="total spent")),
                (
                    "spent_on_deleted",
                    models.IntegerField(
                        db_default=0, default=0, editable=False, verbose_name="spent on deleted heists"
                    ),
                ),
                (
                    "losses_on_deleted",
                    models.JSONField(blank=True, editable=False, null=True, verbose_name="losses on deleted heists"),
                ),
                ("last_earned_at", models.DateTimeField(blank=True, null=True, verbose_name="last earned")),
                ("last_spent_at", models.DateTimeField(blank=True, null=True, verbose_name="last spent")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="created",
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="updated"
                    ),
                ),
            ],
            options={
                "verbose_name": "heist token",
                "verbose_name_plural": "heist tokens",
                "indexes": [
                    models.Index(fields=["balance"], name="heists_token_balance"),
                    models.Index(fields=["last_spent_at"], name="heists_token_last_spent"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("balance__gte", 0),
                            ("spent_on_deleted__gte", 0),
                            ("total_earned__gte", 0),
                            ("total_spent__gte", 0),
                        ),
                        name="heists_token_never_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "balance",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("total_earned"), "-", models.F("total_spent")
                                ),
                            )
                        ),
                        name="heists_token_balance_adds_up",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TokenGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "player",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_token_grants",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                ("amount", models.IntegerField(verbose_name="amount")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("REFERRAL", "Referral"),
                            ("PROMOTION", "Promotion"),
                            ("STAFF", "Staff"),
                            ("REFUND", "Refund"),
                            ("CORRECTION", "Correction"),
                        ],
                        max_length=10,
                        verbose_name="reason",
                    ),
                ),
                ("source", models.CharField(max_length=255, unique=True, verbose_name="source")),
                ("note", models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="note")),
                (
                    "granted_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="granted by",
                    ),
                ),
                (
                    "granted_by_name",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=255, verbose_name="granted by (name)"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="created",
                    ),
                ),
            ],
            options={
                "verbose_name": "token grant",
                "verbose_name_plural": "token grants",
                "permissions": [("grant_tokens", "Can grant tokens")],
                "indexes": [
                    models.Index(fields=["player", "created_at"], name="heists_grant_player_created"),
                    models.Index(fields=["created_at"], name="heists_grant_created"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("amount__lt", 0), ("reason", "CORRECTION")),
                            models.Q(models.Q(("reason", "CORRECTION"), _negated=True), ("amount__gt", 0)),
                            _connector="OR",
                        ),
                        name="heists_grant_only_correction_takes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason__in", ["REFERRAL", "PROMOTION", "STAFF", "REFUND", "CORRECTION"])),
                        name="heists_grant_reason_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Heist",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "attacker",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heists_as_attacker",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="attacker",
                    ),
                ),
                (
                    "attacker_token",
                    models.ForeignObject(
                        editable=False,
                        from_fields=["attacker"],
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heists_as_attacker",
                        serialize=False,
                        to="heists.heisttoken",
                        to_fields=["user"],
                    ),
                ),
                (
                    "victim",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heists_as_victim",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="victim",
                    ),
                ),
                ("points_stolen", models.BigIntegerField(verbose_name="points stolen")),
                ("victim_points_before", models.BigIntegerField(verbose_name="victim's points before")),
                ("victim_points_after", models.BigIntegerField(verbose_name="victim's points after")),
                ("attacker_points_before", models.BigIntegerField(verbose_name="attacker's points before")),
                ("attacker_points_after", models.BigIntegerField(verbose_name="attacker's points after")),
                (
                    "attacker_tokens",
                    models.IntegerField(blank=True, editable=False, null=True, verbose_name="attacker's tokens"),
                ),
                ("token_spent", models.BooleanField(db_default=True, default=True, verbose_name="token spent")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("SUCCESS", "Success"),
                            ("FAILED_COOLDOWN", "Attacker on cooldown"),
                            ("FAILED_TARGET_PROTECTED", "Target protected"),
                            ("FAILED_SHIELD", "Blocked by a shield"),
                            ("FAILED_INSUFFICIENT_POINTS", "Target has too few points"),
                            ("FAILED_INSUFFICIENT_TOKENS", "Not enough tokens"),
                            ("FAILED_INVALID_TARGET", "Invalid target"),
                        ],
                        db_default="SUCCESS",
                        default="SUCCESS",
                        max_length=26,
                        verbose_name="status",
                    ),
                ),
                (
                    "failure_code",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("self_target", "Own account"),
                            ("inactive_target", "Target not active"),
                            ("own_truce", "Own truce"),
                            ("insufficient_tokens", "Not enough tokens"),
                            ("cooldown", "Cooldown"),
                            ("daily_limit", "Daily limit"),
                            ("truce", "Target's truce"),
                            ("newcomer", "Target is new"),
                            ("pair_cooldown", "Same target too soon"),
                            ("protected", "Target protected"),
                            ("insufficient_points", "Target has too few points"),
                            ("loss_limit", "Target's monthly loss limit"),
                            ("balance_full", "No room for more points"),
                            ("shield", "Shield"),
                        ],
                        max_length=19,
                        null=True,
                        verbose_name="failure code",
                    ),
                ),
                ("failure_reason", models.TextField(blank=True, null=True, verbose_name="failure reason")),
                ("retry_at", models.DateTimeField(blank=True, null=True, verbose_name="retry at")),
                ("ip_address", models.GenericIPAddressField(blank=True, null=True, verbose_name="address")),
                (
                    "idempotency_key",
                    models.CharField(blank=True, max_length=255, null=True, verbose_name="idempotency key"),
                ),
                (
                    "rule_set",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="heists",
                        to="heists.ruleset",
                        verbose_name="rule set",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="time",
                    ),
                ),
            ],
            options={
                "verbose_name": "heist",
                "verbose_name_plural": "heists",
                "permissions": [("reverse_heist", "Can return the points of heists")],
                "indexes": [
                    models.Index(fields=["attacker", "created_at"], name="heists_heist_attacker_created"),
                    models.Index(fields=["victim", "created_at"], name="heists_heist_victim_created"),
                    models.Index(fields=["created_at"], name="heists_heist_created"),
                    models.Index(fields=["status"], name="heists_heist_status"),
                    models.Index(fields=["attacker", "status"], name="heists_heist_attacker_status"),
                    models.Index(fields=["victim", "status"], name="heists_heist_victim_status"),
                    models.Index(
                        condition=models.Q(("token_spent", True)),
                        fields=["attacker", "created_at"],
                        name="heists_heist_attacker_outcomes",
                    ),
                    models.Index(
                        condition=models.Q(("token_spent", True)),
                        fields=["victim", "created_at"],
                        name="heists_heist_victim_outcomes",
                    ),
                    models.Index(fields=["status", "created_at"], name="heists_heist_status_created"),
                    models.Index(
                        condition=models.Q(("ip_address__isnull", False)),
                        fields=["ip_address", "created_at"],
                        name="heists_heist_address",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "SUCCESS",
                                    "FAILED_COOLDOWN",
                                    "FAILED_TARGET_PROTECTED",
                                    "FAILED_SHIELD",
                                    "FAILED_INSUFFICIENT_POINTS",
                                    "FAILED_INSUFFICIENT_TOKENS",
                                    "FAILED_INVALID_TARGET",
                                ],
                            )
                        ),
                        name="heists_heist_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("failure_code__isnull", True),
                            (
                                "failure_code__in",
                                [
                                    "self_target",
                                    "inactive_target",
                                    "own_truce",
                                    "insufficient_tokens",
                                    "cooldown",
                                    "daily_limit",
                                    "truce",
                                    "newcomer",
                                    "pair_cooldown",
                                    "protected",
                                    "insufficient_points",
                                    "loss_limit",
                                    "balance_full",
                                    "shield",
                                ],
                            ),
                            _connector="OR",
                        ),
                        name="heists_heist_failure_code_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("attacker_points_after__gte", 0),
                            ("attacker_points_before__gte", 0),
                            ("points_stolen__gte", 0),
                            ("victim_points_after__gte", 0),
                            ("victim_points_before__gte", 0),
                            models.Q(("attacker_tokens__isnull", True), ("attacker_tokens__gte", 0), _connector="OR"),
                        ),
                        name="heists_heist_never_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "attacker_points_after",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("attacker_points_before"), "+", models.F("points_stolen")
                                ),
                            ),
                            (
                                "victim_points_after",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("victim_points_before"), "-", models.F("points_stolen")
                                ),
                            ),
                        ),
                        name="heists_heist_transfer_balanced",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("points_stolen__gt", 0), ("status", "SUCCESS")),
                            models.Q(models.Q(("status", "SUCCESS"), _negated=True), ("points_stolen", 0)),
                            _connector="OR",
                        ),
                        name="heists_heist_only_success_steals",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ("SUCCESS", "FAILED_SHIELD")), ("token_spent", True)),
                            models.Q(
                                models.Q(("status__in", ("SUCCESS", "FAILED_SHIELD")), _negated=True),
                                ("token_spent", False),
                            ),
                            _connector="OR",
                        ),
                        name="heists_heist_outcome_spends_token",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("attacker", models.F("victim")), _negated=True),
                            ("status", "FAILED_INVALID_TARGET"),
                            _connector="OR",
                        ),
                        name="heists_heist_not_oneself",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("idempotency_key__isnull", False)),
                        fields=("attacker", "idempotency_key"),
                        name="heists_heist_idempotency_key",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Reversal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "heist",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reversal",
                        to="heists.heist",
                        verbose_name="heist",
                    ),
                ),
                ("points_returned", models.BigIntegerField(verbose_name="points returned")),
                ("attacker_points_before", models.BigIntegerField(verbose_name="attacker's points before")),
                ("attacker_points_after", models.BigIntegerField(verbose_name="attacker's points after")),
                ("victim_points_before", models.BigIntegerField(verbose_name="victim's points before")),
                ("victim_points_after", models.BigIntegerField(verbose_name="victim's points after")),
                ("token_returned", models.BooleanField(db_default=False, default=False, verbose_name="token returned")),
                ("reason", models.CharField(max_length=255, verbose_name="reason")),
                (
                    "note",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=255, verbose_name="note for the players"
                    ),
                ),
                (
                    "reversed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="reversed by",
                    ),
                ),
                (
                    "reversed_by_name",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=255, verbose_name="reversed by (name)"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="time",
                    ),
                ),
            ],
            options={
                "verbose_name": "reversal",
                "verbose_name_plural": "reversals",
                "indexes": [models.Index(fields=["created_at"], name="heists_reversal_created")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("points_returned__gte", 1)), name="heists_reversal_returns_points"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("attacker_points_after__gte", 0),
                            ("attacker_points_before__gte", 0),
                            ("victim_points_after__gte", 0),
                            ("victim_points_before__gte", 0),
                        ),
                        name="heists_reversal_never_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "attacker_points_after",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("attacker_points_before"), "-", models.F("points_returned")
                                ),
                            ),
                            (
                                "victim_points_after",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("victim_points_before"), "+", models.F("points_returned")
                                ),
                            ),
                        ),
                        name="heists_reversal_balanced",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HeistNotification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_notifications",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                (
                    "heist",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="notifications",
                        to="heists.heist",
                        verbose_name="heist",
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("HEIST_SUCCESS", "You robbed a player"),
                            ("HEIST_VICTIM", "You were robbed"),
                            ("TOKEN_EARNED", "You earned a token"),
                            ("SHIELD_ACTIVATED", "Your shield blocked an attack"),
                            ("SHIELD_EXPIRED", "Your shield expired"),
                            ("HEIST_REVERSED", "A heist was reversed"),
                        ],
                        max_length=16,
                        verbose_name="type",
                    ),
                ),
                ("message", models.TextField(verbose_name="message")),
                (
                    "metadata",
                    models.JSONField(
                        blank=True,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        null=True,
                        verbose_name="details",
                    ),
                ),
                ("read", models.BooleanField(db_default=False, default=False, verbose_name="read")),
                ("email_sent", models.BooleanField(db_default=False, default=False, verbose_name="email sent")),
                ("email_sent_at", models.DateTimeField(blank=True, null=True, verbose_name="email sent at")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="time",
                    ),
                ),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "indexes": [
                    models.Index(fields=["user", "read"], name="heists_notification_user_read"),
                    models.Index(fields=["user", "created_at"], name="heists_notification_user_time"),
                    models.Index(fields=["created_at"], name="heists_notification_created"),
                    models.Index(fields=["type"], name="heists_notification_type"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "type__in",
                                [
                                    "HEIST_SUCCESS",
                                    "HEIST_VICTIM",
                                    "TOKEN_EARNED",
                                    "SHIELD_ACTIVATED",
                                    "SHIELD_EXPIRED",
                                    "HEIST_REVERSED",
                                ],
                            )
                        ),
                        name="heists_notification_type_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("email_sent", False), ("email_sent_at__isnull", False), _connector="OR"),
                        name="heists_notification_sent_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Shield",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "player",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_shields",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                ("cost", models.PositiveIntegerField(help_text="Coins paid.", verbose_name="cost")),
                (
                    "bought_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        verbose_name="bought",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                ("used_at", models.DateTimeField(blank=True, null=True, verbose_name="used")),
                (
                    "used_by",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="blocked_by",
                        to="heists.heist",
                        verbose_name="blocked heist",
                    ),
                ),
                ("expired_at", models.DateTimeField(blank=True, null=True, verbose_name="marked expired")),
                (
                    "idempotency_key",
                    models.CharField(blank=True, max_length=255, null=True, verbose_name="idempotency key"),
                ),
            ],
            options={
                "verbose_name": "shield",
                "verbose_name_plural": "shields",
                "indexes": [
                    models.Index(fields=["player", "bought_at"], name="heists_shield_player_bought"),
                    models.Index(
                        condition=models.Q(("expired_at__isnull", True), ("used_at__isnull", True)),
                        fields=["expires_at"],
                        name="heists_shield_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("expired_at__isnull", True), ("used_at__isnull", True)),
                        fields=("player",),
                        name="heists_shield_one_live",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("idempotency_key__isnull", False)),
                        fields=("player", "idempotency_key"),
                        name="heists_shield_idempotency_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("used_at__isnull", True), ("expired_at__isnull", True), _connector="OR"),
                        name="heists_shield_used_or_expired",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("used_by__isnull", True), ("used_at__isnull", False), _connector="OR"),
                        name="heists_shield_used_has_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("bought_at"))), name="heists_shield_lasts"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Truce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "player",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_truces",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="starts")),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True, help_text="Empty while it is wanted.", null=True, verbose_name="ends"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="asked for",
                    ),
                ),
            ],
            options={
                "verbose_name": "truce",
                "verbose_name_plural": "truces",
                "constraints": [
                    models.UniqueConstraint(fields=("player", "starts_at"), name="heists_truce_one_a_start"),
                    models.UniqueConstraint(
                        condition=models.Q(("ends_at__isnull", True)),
                        fields=("player",),
                        name="heists_truce_one_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at__isnull", True), ("ends_at__gte", models.F("starts_at")), _connector="OR"
                        ),
                        name="heists_truce_ends_later",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OutboxEmail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "notification",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="outbox_email",
                        to="heists.heistnotification",
                        verbose_name="notification",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("WAITING", "Waiting"),
                            ("SENT", "Sent"),
                            ("SKIPPED", "Not wanted"),
                            ("FAILED", "Given up"),
                        ],
                        default="WAITING",
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="due")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("leased_until", models.DateTimeField(blank=True, null=True, verbose_name="leased until")),
                ("lease", models.UUIDField(blank=True, null=True, verbose_name="lease")),
                ("last_error", models.TextField(blank=True, default="", verbose_name="last error")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
            ],
            options={
                "verbose_name": "email",
                "verbose_name_plural": "emails",
                "permissions": [("send_again", "Can send emails again")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "WAITING")), fields=["due_at"], name="heists_outboxemail_due"
                    ),
                    models.Index(fields=["created_at"], name="heists_outboxemail_created"),
                    models.Index(fields=["state", "created_at"], name="heists_outboxemail_state_time"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["WAITING", "SENT", "SKIPPED", "FAILED"])),
                        name="heists_outboxemail_state_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EmailPreference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "player",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="heist_email_preference",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="player",
                    ),
                ),
                ("muted", models.BooleanField(default=False, verbose_name="no emails at all")),
                ("muted_types", models.JSONField(blank=True, default=list, verbose_name="no emails of these types")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
            ],
            options={
                "verbose_name": "email preference",
                "verbose_name_plural": "email preferences",
            },
        ),
    ]
