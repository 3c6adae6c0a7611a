"""Only a business's own rows are seen (PostgreSQL)."""

from django.db import migrations

from pexsync.accounts.tenancy import walls


class Migration(migrations.Migration):
    dependencies = [("tagging", "0001_initial")]

    operations = [walls("tagging_tag")]
