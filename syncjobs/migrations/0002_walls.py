"""Only a business's own rows are seen (PostgreSQL)."""

from django.db import migrations

from pexsync.accounts.tenancy import walls


class Migration(migrations.Migration):
    dependencies = [("syncjobs", "0001_initial")]

    operations = [
        walls("syncjobs_pextransaction"),
        walls("syncjobs_export"),
        walls("syncjobs_exportevent"),
        walls("syncjobs_exportreceipt"),
        walls("syncjobs_tally"),
        walls("syncjobs_syncrun"),
        walls("syncjobs_runresult"),
    ]
