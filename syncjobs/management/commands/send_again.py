"""Send a posted transaction again where only support may allow it: after its old record is proven gone."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connectors import registry
from connectors.models import Connection
from connectors.records import Source
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import people, support
from syncjobs.models import Export
from syncjobs.people import Action, Wish
from syncjobs.support import Wished
from syncjobs.transitions import Who


class Command(BaseCommand):
    help = (
        "Let one transaction go to the books again, with the next sync. Its old record must be deleted or void there. "
        "Or list what admins asked for, or decline it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("business", type=int, nargs="?", help="the business account's number in PEX")
        parser.add_argument("system", nargs="?", choices=sorted(registry.ALL), help="the books")
        parser.add_argument("pex_id", type=int, nargs="?", help="the transaction's number in PEX, as its page shows it")
        parser.add_argument(
            "--source", choices=[source.value for source in Source], default=Source.TRANSACTION.value,
            help="which of PEX's numbers it is (default: %(default)s)",
        )  # fmt: skip
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="what admins of all businesses asked for, oldest first")
        what.add_argument("--decline", metavar="REASON", help="do not let it go again: a sentence its row then shows")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list(support.wishes())
            return
        if options["pex_id"] is None:
            raise CommandError("Name the business, the books and the transaction, or use --list.")
        connection = _connection(options["business"], options["system"])
        export = _export(connection, options["source"], options["pex_id"])
        if options["decline"] is None:
            self._allow(connection, export)
        else:
            self._decline(export, options["decline"].strip())

    def _list(self, wishes: list[Wished]) -> None:
        for wish in wishes:
            self.stdout.write("".join(letter for letter in _line(wish) if letter.isprintable()))
        if not wishes:
            self.stdout.write("Nobody asks for anything.")

    def _allow(self, connection: Connection, export: Export) -> None:
        answer = people.decide(Wish(connection, Action.SEND_AGAIN, None, Who.STAFF), [export.pk])
        if answer.refused:
            refused = answer.refused[0]
            raise CommandError(f"Nothing was changed. {refused.says} {refused.link}".strip())
        self.stdout.write(f"PEX {export.pex_id} goes to {answer.moved[0].system} again with the next sync.")

    def _decline(self, export: Export, reason: str) -> None:
        if not reason:
            raise CommandError("Say why: the sentence is shown to the people who asked.")
        if not support.decline(export, reason):
            raise CommandError(f"Nothing was changed. Nobody asks for PEX {export.pex_id}, or it moved on meanwhile.")
        self.stdout.write(f"PEX {export.pex_id} stays as it is, and says why.")


def _line(wish: Wished) -> str:
    """It begins with what this command takes."""
    row = wish.export
    source = "" if row.source == Source.TRANSACTION else f" --source {row.source}"
    remark = f": {wish.remark}" if wish.remark else ""
    return (
        f"{wish.business_id} {row.system} {row.pex_id}{source}  {wish.business}, {row.kind} of {row.amount} settled "
        f"{row.settled_on}, asked {row.asked_at:%Y-%m-%d %H:%M} UTC by {wish.by}{remark}"
    )


def _connection(business: int, system: str) -> Connection:
    with everywhere():
        found = Connection.objects.select_related("business").filter(business__pex_id=business, system=system).first()
    if found is None:
        raise CommandError(f"Business {business} is not connected to {system}.")
    return found


def _export(connection: Connection, source: str, pex_id: int) -> Export:
    with reading(connection.business_id):
        mine = Export.objects.filter(business_id=connection.business_id, system=connection.system)
        found = mine.filter(source=source, pex_id=pex_id).first()
    if found is None:
        raise CommandError(f"No {source} {pex_id} of this business is known for {connection.system}.")
    return found
