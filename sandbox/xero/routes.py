"""The table of what the Accounting API serves, and the way through it."""

from collections.abc import Callable

from sandbox.xero import accounts, attachments, bank_transactions, bank_transfers, contacts, settings, tracking
from sandbox.xero.answers import Answer, ApiRequest, Refused, no_data, not_found, plain, too_large
from sandbox.xero.formats import xml_text

WRITES = ("PUT", "POST", "PATCH")
Handler = Callable[..., Answer]
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "organisation", settings.get_organisation),
    ("GET", "organisations", settings.get_organisation),
    ("GET", "organisation/actions", settings.get_actions),
    ("GET", "taxrates", settings.get_tax_rates),
    ("GET", "taxrates/*", settings.get_tax_rate),
    ("GET", "currencies", settings.get_currencies),
    ("PUT", "currencies", settings.put_currency),
    ("GET", "accounts", accounts.get_many),
    ("PUT", "accounts", accounts.put_one),
    ("GET", "accounts/*", accounts.get_one),
    ("POST", "accounts/*", accounts.post_one),
    ("DELETE", "accounts/*", accounts.delete_one),
    ("GET", "trackingcategories", tracking.get_many),
    ("PUT", "trackingcategories", tracking.put_one),
    ("GET", "trackingcategories/*", tracking.get_one),
    ("POST", "trackingcategories/*", tracking.post_one),
    ("DELETE", "trackingcategories/*", tracking.delete_one),
    ("PUT", "trackingcategories/*/options", tracking.put_options),
    ("POST", "trackingcategories/*/options/*", tracking.post_option),
    ("DELETE", "trackingcategories/*/options/*", tracking.delete_option),
    ("GET", "contacts", contacts.get_many),
    ("PUT", "contacts", contacts.put_many),
    ("POST", "contacts", contacts.post_many),
    ("GET", "contacts/*", contacts.get_one),
    ("POST", "contacts/*", contacts.post_one),
    ("GET", "banktransactions", bank_transactions.get_many),
    ("PUT", "banktransactions", bank_transactions.put_many),
    ("POST", "banktransactions", bank_transactions.post_many),
    ("GET", "banktransactions/*", bank_transactions.get_one),
    ("POST", "banktransactions/*", bank_transactions.post_one),
    ("GET", "banktransfers", bank_transfers.get_many),
    ("PUT", "banktransfers", bank_transfers.put_many),
    ("POST", "banktransfers", bank_transfers.post_many),
    ("GET", "banktransfers/*", bank_transfers.get_one),
    ("POST", "banktransfers/*", bank_transfers.post_one),
    *(
        (method, f"{kind}/*/{ending}", handler)
        for kind in ("accounts", "banktransactions", "banktransfers", "contacts")
        for method, ending, handler in (
            ("GET", "attachments", attachments.get_many),
            ("GET", "attachments/*", attachments.get_one),
            ("PUT", "attachments/*", attachments.put_one),
            ("POST", "attachments/*", attachments.put_one),
            ("GET", "history", attachments.get_history),
            ("PUT", "history", attachments.put_history),
        )
    ),
]


def handled(request: ApiRequest) -> Answer:
    """Find the handler and let it work; a refusal is XML too where XML was asked for."""
    try:
        if not _is_upload(request) and len(request.body) > request.world.switches.body_bytes:
            return too_large()
        handler, ids = _handler(request)
        if request.method in WRITES and not request.body and not _is_upload(request):
            return no_data()
        answer = handler(request, *ids)
    except Refused as refused:
        answer = refused.answer
    if answer.status == 400 and request.wants_xml:
        return Answer(400, xml_text(answer.body.decode(), "ApiException").encode(), "text/xml; charset=utf-8")
    return answer


def _is_upload(request: ApiRequest) -> bool:
    return len(request.path) == 4 and request.path[2].lower() == "attachments"


def _handler(request: ApiRequest) -> tuple[Handler, list[str]]:
    """Return who serves this path and the ids in it. Raises Refused: 404, or 405 for a verb it has not."""
    known = False
    for method, pattern, handler in ROUTES:
        ids = _ids(pattern.split("/"), request.path)
        if ids is None:
            continue
        known = True
        if method == request.method:
            return handler, ids
    raise Refused(plain(405, "Method Not Allowed") if known else not_found())


def _ids(pattern: list[str], path: tuple[str, ...]) -> list[str] | None:
    if len(pattern) != len(path):
        return None
    pairs = list(zip(pattern, path, strict=True))
    if any(expected not in ("*", part.lower()) for expected, part in pairs):
        return None
    return [part for expected, part in pairs if expected == "*"]
