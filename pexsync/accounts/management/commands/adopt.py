"""`manage.py adopt`: this installation takes over the database, after a restore or where a copy is to live on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pexsync.accounts import installation

WARNING = """\
From now on this installation syncs from this database.

  * The installation it came from must not run any more: two of them renew the same sign-ins and lock each other out.
  * What was sent after this database was saved stands in the books, and not in here. Everything settled so far is
    therefore looked for in the books before it is sent; that takes more calls than usual, once.

Say "manage.py adopt --yes" to do it.
"""


class Command(BaseCommand):
    help = "Take over this database: after a restore, or when a copy of it is to sync from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do it; without it only what it means is told")

    def handle(self, *args: Any, yes: bool, **options: Any) -> None:
        if not yes:
            self.stdout.write(WARNING)
            return
        installation.adopt()
        self.stdout.write("Done. Everything settled so far is looked for in the books before it is sent.")
