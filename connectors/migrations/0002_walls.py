"""Only a business's own rows are seen (PostgreSQL)."""

from django.db import migrations

from pexsync.accounts.tenancy import walls


class Migration(migrations.Migration):
    dependencies = [("connectors", "0001_initial")]

    operations = [
        walls("connectors_credential"),
        walls("connectors_connection"),
        walls("connectors_settingsversion"),
    ]
