"""A first look into PEX before any sync, so that the setup can show one of the business's own transactions.

PEX gives its lists ten times an hour; this takes one or two of them, once. It reads into the mirror, which is a cache,
and posts nothing.
"""

import logging
from datetime import timedelta

from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet

from connectors.errors import ConnectorError
from connectors.models import Connection
from connectors.pex import auth as pex_auth
from connectors.pex import mapping
from pexsync import clock
from pexsync.accounts import installation
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import everywhere, reading
from syncjobs import mirror
from syncjobs.models import MirrorRead
from syncjobs.window import Window

logger = logging.getLogger(__name__)

DAYS = timedelta(days=30)
PATIENCE = 60  # seconds in which it is expected, and after which it may be asked for again


def ask(connection: Connection) -> None:
    """Send a worker to look, where nobody has read PEX for this business yet and nobody was sent just now."""
    from syncjobs.tasks import first_look

    if not _read_before(connection.business) and cache.add(_key(connection.business), True, PATIENCE):
        transaction.on_commit(lambda: first_look.apply_async((connection.pk,)), robust=True)


def expected(business: Business) -> bool:
    """Whether somebody is looking right now, as far as this process knows. Call it inside a scope."""
    return bool(cache.get(_key(business))) and not _reads(business).filter(ended_at__isnull=False).exists()


def look(connection_id: int) -> None:
    """Read the last days into the mirror. What hinders it is no trouble: the first sync reads them too."""
    with everywhere():
        connection = Connection.objects.select_related("business").filter(pk=connection_id).first()
    if connection is None or not connection.ready or not installation.ours() or _read_before(connection.business):
        return
    today = clock.today()
    try:
        with pex_auth.client_for(connection.business) as pex:
            bill_pay = pex.business_settings().get("UseBillPay") is True
            names = mapping.cardholders(pex.account_details())
            mirror.refresh(connection.business, pex, Window(today - DAYS, today), names, bill_pay, lambda rows: None)
    except ConnectorError as error:
        logger.info("no first look", extra={"connection": connection.pk, "says": error.says})


def _read_before(business: Business) -> bool:
    with reading(business.pk):
        return _reads(business).exists()


def _reads(business: Business) -> QuerySet[MirrorRead]:
    return MirrorRead.objects.filter(business_id=business.pk)


def _key(business: Business) -> str:
    return f"first-look:{business.pk}"
