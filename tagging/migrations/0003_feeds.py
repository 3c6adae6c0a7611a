"""Which tags get their options from the books, and what is known of each option."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from pexsync.accounts.tenancy import walls


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_the_engine"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("tagging", "0002_walls"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tag_id", models.CharField(max_length=40)),
                ("system", models.CharField(max_length=40)),
                ("field", models.CharField(max_length=100)),
                ("memory", models.JSONField(default=dict)),
                ("intended", models.JSONField(default=dict)),
                ("unlisted", models.JSONField(default=list)),
                (
                    "state",
                    models.CharField(
                        blank=True,
                        choices=[("done", "Up to date"), ("held", "Held"), ("failed", "Not updated")],
                        max_length=10,
                    ),
                ),
                ("says", models.CharField(blank=True, max_length=500)),
                ("counts", models.JSONField(default=dict)),
                ("twins", models.JSONField(default=list)),
                ("unfit", models.JSONField(default=list)),
                ("going", models.JSONField(default=list)),
                ("allowed", models.JSONField(default=list)),
                ("allowed_at", models.DateTimeField(null=True)),
                ("changed_at", models.DateTimeField(null=True)),
                ("looked_at", models.DateTimeField(null=True)),
                (
                    "allowed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "business",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feeds",
                        to="accounts.business",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("business", "tag_id"), name="feed_once")],
            },
        ),
        walls("tagging_feed"),
    ]
