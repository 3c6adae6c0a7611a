"""The official SDK drives the simulated Xero: its strict reader is a good judge of the wire format."""

import copy
import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from xero_python.accounting import (
    Account,
    AccountingApi,
    BankTransaction,
    BankTransactions,
    BankTransfer,
    BankTransfers,
    Contact,
    Contacts,
    HistoryRecord,
    HistoryRecords,
    LineAmountTypes,
    LineItem,
    TrackingReference,
)
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token, TokenApi
from xero_python.exceptions import AccountingBadRequestException, RateLimitException
from xero_python.identity import IdentityApi

from sandbox.server import Desk
from sandbox.xero.world import DEMO_CLIENT, DEMO_SECRET
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


@pytest.fixture
def client(books: Books, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiClient]:
    """An SDK client whose access token has run out, so that it begins by refreshing.

    Its configuration is a singleton and its retries would repeat PUTs, hence the detours.
    """
    for name in ("refresh_token_url", "revoke_token_url"):
        ending = "token" if name.startswith("refresh") else "revocation"
        monkeypatch.setattr(TokenApi, name, f"{books.desk.url}/xero-identity/connect/{ending}")
    token: dict[str, Any] = {**books.token, "scope": books.token["scope"].split(), "expires_at": 0}
    configuration = Configuration()
    configuration.oauth2_token = OAuth2Token(DEMO_CLIENT, DEMO_SECRET)
    client = ApiClient(
        configuration, oauth2_token_getter=lambda: copy.copy(token), oauth2_token_saver=lambda new: token.update(new)
    )
    manager = client.rest_client.pool_manager
    manager.connection_pool_kw["retries"] = False
    manager.clear()
    yield client
    manager.clear()


@pytest.fixture
def accounting(books: Books, client: ApiClient) -> AccountingApi:
    return AccountingApi(client, base_url=f"{books.desk.url}/xero-api/api.xro/2.0")


def purchase(books: Books, **changes: Any) -> BankTransaction:
    line = LineItem(description="Fuel", quantity=Decimal(1), unit_amount=Decimal("41.87"), account_code="449")
    return BankTransaction(
        **{
            "type": "SPEND",
            "contact": Contact(name="Shell"),
            "line_items": [line],
            "bank_account": Account(account_id=books.organisation.account("PEX Cash Account").id),
            "date": datetime.date(2026, 7, 3),
            "reference": "PEX-1",
            "line_amount_types": LineAmountTypes("NoTax"),
            **changes,
        }
    )


def test_the_sdk_refreshes_finds_its_tenant_creates_lists_and_attaches(
    books: Books, client: ApiClient, accounting: AccountingApi, tmp_path: Path
):
    (connection,) = IdentityApi(client, base_url=f"{books.desk.url}/xero-api").get_connections()
    tenant = connection.tenant_id
    assert tenant == books.organisation.id

    made = accounting.create_bank_transactions(
        tenant, BankTransactions(bank_transactions=[purchase(books)]), summarize_errors=False, idempotency_key="k-1"
    ).bank_transactions[0]
    assert (made.total, made.status, made.status_attribute_string) == (Decimal("41.87"), "AUTHORISED", "OK")
    assert made.date == datetime.date(2026, 7, 3)
    assert made.line_items[0].account_id == books.organisation.account("449").id

    id, name = made.bank_transaction_id, "receipt 1.pdf"
    attached = accounting.create_bank_transaction_attachment_by_file_name(tenant, id, name, b"%PDF-1.4")
    assert attached.attachments[0].mime_type == "application/pdf"
    (stored,) = books.organisation.bank_transactions[id].attachments
    assert stored.content == b"%PDF-1.4"

    listed = accounting.get_bank_transactions(
        tenant, where='Type=="SPEND" AND Date>=DateTime(2026,07,01)', page=1, page_size=100
    )
    assert listed.bank_transactions[0].has_attachments is True
    assert listed.bank_transactions[0].contact.name == "Shell"
    assert listed.pagination.item_count == 1
    by_reference = accounting.get_bank_transactions(tenant, references=["PEX-1"])
    assert len(by_reference.bank_transactions) == 1

    notes = HistoryRecords(history_records=[HistoryRecord(details="Receipt attached")])
    accounting.create_bank_transaction_history_record(tenant, id, notes)
    assert len(accounting.get_bank_transactions_history(tenant, id).history_records) == 3


def test_the_sdk_reads_every_setting(books: Books, accounting: AccountingApi):
    tenant = books.organisation.id
    books.organisation.period_lock_date = datetime.date(2026, 6, 30)
    books.organisation.add_tracking("Region", ["North"])
    books.organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25", report_tax_type="INPUT")
    (organisation,) = accounting.get_organisations(tenant).organisations
    assert organisation.period_lock_date == datetime.date(2026, 6, 30)
    accounts = accounting.get_accounts(tenant, where='Type=="BANK"', order="Name ASC").accounts
    assert [one.name for one in accounts] == ["Business Checking", "PEX Cash Account"]
    (category,) = accounting.get_tracking_categories(tenant, include_archived=True).tracking_categories
    assert category.options[0].name == "North"
    assert accounting.get_tax_rates(tenant).tax_rates[1].effective_rate == Decimal("8.25")
    assert accounting.get_currencies(tenant).currencies[0].code.value == "USD"
    since = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert accounting.get_accounts(tenant, if_modified_since=since).accounts == []


def test_the_sdk_makes_contacts_and_transfers(books: Books, accounting: AccountingApi):
    tenant = books.organisation.id
    made = accounting.create_contacts(tenant, Contacts(contacts=[Contact(name="Café Zoë")])).contacts[0]
    assert made.contact_status == "ACTIVE"
    found = accounting.get_contacts(tenant, i_ds=[made.contact_id], summary_only=True, page=1, page_size=10)
    assert found.contacts[0].name == "Café Zoë"
    first, second = (Account(account_id=one.id) for one in books.organisation.bank_accounts())
    transfer = BankTransfer(from_bank_account=first, to_bank_account=second, amount=Decimal("25.50"))
    answer = accounting.create_bank_transfer(tenant, BankTransfers(bank_transfers=[transfer])).bank_transfers[0]
    assert answer.amount == Decimal("25.50")
    assert len(accounting.get_bank_transfers(tenant).bank_transfers) == 1


def test_the_sdk_tracks_attaches_to_and_deletes_transfers(books: Books, accounting: AccountingApi):
    tenant = books.organisation.id
    region = books.organisation.add_tracking("Region", ["North"])
    first, second = (Account(account_id=one.id) for one in books.organisation.bank_accounts())
    value = TrackingReference(tracking_category_id=region.id, tracking_option_id=region.options[0].id)
    transfer = BankTransfer(
        from_bank_account=first,
        to_bank_account=second,
        amount=Decimal("25.50"),
        date=datetime.date(2026, 7, 3),
        reference="PEX-T-1",
        from_tracking=[value],
    )
    made = accounting.create_bank_transfer(
        tenant, BankTransfers(bank_transfers=[transfer]), idempotency_key="k-1"
    ).bank_transfers[0]
    assert (made.status, made.reference, made.date) == ("AUTHORISED", "PEX-T-1", datetime.date(2026, 7, 3))
    assert made.from_tracking[0].tracking_option_id == region.options[0].id
    id = made.bank_transfer_id
    accounting.create_bank_transfer_attachment_by_file_name(tenant, id, "order.pdf", b"%PDF-1.4")
    assert accounting.get_bank_transfer(tenant, id).bank_transfers[0].has_attachments is True
    legs = accounting.get_bank_transactions(tenant, page=1).bank_transactions
    assert [leg.type for leg in legs] == ["SPEND-TRANSFER", "RECEIVE-TRANSFER"]
    # The SDK cannot write the short form that deletes: its model demands both accounts and an amount.
    deleted = BankTransfers(bank_transfers=[copy.copy(made)])
    deleted.bank_transfers[0].status = "DELETED"
    assert accounting.delete_bank_transfers(tenant, deleted).bank_transfers[0].status == "DELETED"
    assert accounting.get_bank_transfers(tenant).bank_transfers == []
    assert len(accounting.get_bank_transfers(tenant, include_deleted=True).bank_transfers) == 1


def test_the_sdk_stumbles_over_a_value_nobody_has_heard_of(books: Books, accounting: AccountingApi):
    books.world.switches.unknown_enum = "Accounts.Type"
    with pytest.raises(ValueError):
        accounting.get_accounts(books.organisation.id)


def test_the_sdk_understands_refusals(books: Books, accounting: AccountingApi):
    tenant = books.organisation.id
    line = LineItem(description="Fuel", quantity=Decimal(1), unit_amount=Decimal("1.00"), account_code="999")
    with pytest.raises(AccountingBadRequestException) as refused:
        accounting.create_bank_transactions(
            tenant, BankTransactions(bank_transactions=[purchase(books, line_items=[line])])
        )
    assert refused.value.reason == "Account code '999' is not a valid code for this document."
    books.world.switches.limits = True
    books.world.switches.minute_limit = 0
    with pytest.raises(RateLimitException) as limited:
        accounting.get_organisations(tenant)
    assert limited.value.rate_limit == "minute"
