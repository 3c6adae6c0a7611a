"""Send a posted transaction again where only support may allow it: after its old record is proven gone."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connectors import registry
from connectors.models import Connection
from connectors.records import Source
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import people
from syncjobs.models import Export
from syncjobs.people import Action, Wish
from syncjobs.transitions import Who


class Command(BaseCommand):
    help = (
        "Let one transaction go to the books again, with the next sync. Its old record must be deleted or void there."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("business", type=int, help="the business account's number in PEX")
        parser.add_argument("system", choices=sorted(registry.ALL), help="the books")
        parser.add_argument("pex_id", type=int, help="the transaction's number in PEX, as its page shows it")
        parser.add_argument(
            "--source", choices=[source.value for source in Source], default=Source.TRANSACTION.value,
            help="which of PEX's numbers it is (default: %(default)s)",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        connection = _connection(options["business"], options["system"])
        export = _export(connection, options["source"], options["pex_id"])
        answer = people.decide(Wish(connection, Action.SEND_AGAIN, None, Who.STAFF), [export.pk])
        if answer.refused:
            refused = answer.refused[0]
            raise CommandError(f"Nothing was changed. {refused.says} {refused.link}".strip())
        self.stdout.write(f"PEX {export.pex_id} goes to {answer.moved[0].system} again with the next sync.")


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
