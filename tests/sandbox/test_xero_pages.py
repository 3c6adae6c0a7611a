"""The pages of the simulated Xero: the books, deep links, the switches, the seeds behind them."""

import pickle
from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from sandbox import xero
from sandbox.server import Desk
from sandbox.xero import XeroWorld
from tests.sandbox.xero_books import Books, open_books


@pytest.fixture
def books(sandbox: Desk) -> Iterator[Books]:
    with open_books(sandbox) as books:
        yield books


def page(books: Books, path: str = "") -> str:
    answer = books.http.get(f"/xero-books/{books.organisation.id}{path}")
    assert answer.status_code == 200, answer.text
    assert "Simulated Xero" in answer.text
    return answer.text


def press(books: Books, path: str, **form: str) -> httpx.Response:
    return books.http.post(f"/xero-books/{books.organisation.id}{path}", data=form)


def test_every_room_opens_empty_and_filled(books: Books):
    rooms = ("", "/transactions", "/transfers", "/contacts", "/accounts", "/tracking")
    for room in rooms:
        page(books, room)
    books.organisation.add_tracking("Region", ["North"])
    books.organisation.add_foreign_transactions(250)
    for room in rooms:
        page(books, room)
    assert "Acme LLC" in books.http.get("/xero-books/").text
    assert books.http.get("/xero-books/style.css").headers["content-type"].startswith("text/css")
    assert books.http.get("/xero-books/nobody").status_code == 404


def test_a_bank_account_shows_its_running_balance_and_the_list_is_searched(books: Books):
    books.organisation.post_by_hand("A-1", "10.00", date=date(2026, 7, 1))
    books.organisation.post_by_hand("A-2", "4.50", date=date(2026, 7, 2), type="RECEIVE")
    account = books.organisation.account("PEX Cash Account")
    shown = page(books, f"/transactions?account={account.id}")
    assert "−5.50" in shown
    assert "−10.00" in shown
    found = page(books, "/transactions?q=a-2")
    assert "A-2" in found
    assert "A-1" not in found


def test_one_transaction_shows_all_that_was_posted_and_its_files(books: Books):
    region = books.organisation.add_tracking("Region", ["North"])
    line = {"Tracking": [{"Name": "Region", "Option": region.options[0].name}]}
    id = books.accepted(books.spend(Url="https://pex.example/t/1", line=line))["BankTransactionID"]
    books.call("PUT", f"BankTransactions/{id}/Attachments/receipt.pdf", content=b"%PDF")
    shown = page(books, f"/transactions/{id}")
    for word in ("41.87", "Shell", "PEX-1", "https://pex.example/t/1", "Region: North", "449", "receipt.pdf"):
        assert word in shown
    file = books.organisation.bank_transactions[id].attachments[0]
    answer = books.http.get(f"/xero-books/{books.organisation.id}/transactions/{id}/files/{file.id}")
    assert (answer.content, answer.headers["content-type"]) == (b"%PDF", "application/pdf")


def test_buttons_do_what_people_do(books: Books):
    one = books.organisation.post_by_hand("CHK-1", "12.50")
    path = f"/transactions/{one.id}"
    press(books, path, action="edit", reference="CHK-2", amount="13.00")
    assert (one.reference, str(one.total)) == ("CHK-2", "13.00")
    press(books, path, action="reconcile")
    assert one.is_reconciled
    press(books, path, action="void")
    assert one.status == "DELETED"
    assert press(books, path, action="nonsense").status_code == 400
    assert press(books, path, action="edit", reference="", amount="much").status_code == 400


def test_accounts_contacts_and_options_are_renamed_and_archived(books: Books):
    account, contact = books.organisation.account("449"), books.organisation.add_contact("Shell")
    option = books.organisation.add_tracking("Region", ["North"]).options[0]
    press(books, f"/accounts/{account.id}", action="rename", name="Vehicles")
    press(books, f"/contacts/{contact.id}", action="archive")
    press(books, f"/tracking/{option.id}", action="archive")
    assert (account.name, contact.status, option.status) == ("Vehicles", "ARCHIVED", "ARCHIVED")
    books.organisation.add_contact("Shell")
    assert press(books, f"/contacts/{contact.id}", action="restore").status_code == 400


def test_lock_dates_are_set_and_the_app_is_disconnected(books: Books):
    press(books, "", period_lock_date="2026-06-30", end_of_year_lock_date="", pays_tax="on")
    assert (books.organisation.period_lock_date, books.organisation.pays_tax) == (date(2026, 6, 30), True)
    assert "Disconnect PEX Sync" in page(books)
    press(books, "/disconnect", client_id="pexsync-demo-xero")
    assert books.get("Organisation").status_code == 403


def test_a_transaction_is_entered_by_hand_and_a_transfer_deleted(books: Books):
    banks = books.organisation.bank_accounts()
    press(books, "/transactions", type="SPEND", bank_account=banks[0].id, amount="9.99", contact="Bakery", date="")
    (one,) = books.organisation.live()
    assert (one.contact and one.contact.name, str(one.total)) == ("Bakery", "9.99")
    sides = {"FromBankAccount": {"AccountID": banks[0].id}, "ToBankAccount": {"AccountID": banks[1].id}}
    id = books.put("BankTransfers", {**sides, "Amount": 5}).json()["BankTransfers"][0]["BankTransferID"]
    page(books, f"/transfers/{id}")
    press(books, f"/transfers/{id}", action="delete")
    assert books.organisation.live_transfers() == []


def test_a_transfer_shows_tracking_files_and_both_sides_and_takes_another_reference(books: Books):
    banks = books.organisation.bank_accounts()
    region = books.organisation.add_tracking("Region", ["North"])
    sides = {"FromBankAccount": {"AccountID": banks[0].id}, "ToBankAccount": {"AccountID": banks[1].id}}
    value = {"TrackingCategoryID": region.id, "TrackingOptionID": region.options[0].id}
    sent = {**sides, "Amount": 5, "Reference": "PEX-T", "FromTracking": [value]}
    id = books.put("BankTransfers", sent).json()["BankTransfers"][0]["BankTransferID"]
    books.call("PUT", f"BankTransfers/{id}/Attachments/order.pdf", content=b"%PDF")
    transfer = books.organisation.bank_transfers[id]
    shown = page(books, f"/transfers/{id}")
    for word in ("5.00", "PEX-T", "Region: North", "order.pdf", banks[0].name, banks[1].name, "Created through"):
        assert word in shown
    file = books.http.get(f"/xero-books/{books.organisation.id}/transfers/{id}/files/{transfer.attachments[0].id}")
    assert (file.content, file.headers["content-type"]) == (b"%PDF", "application/pdf")
    press(books, f"/transfers/{id}", action="edit", reference="Funding of July")
    press(books, f"/transactions/{transfer.to_leg.id}", action="reconcile")
    assert {transfer.reference, transfer.from_leg.reference, transfer.to_leg.reference} == {"Funding of July"}
    assert "Reconciled" in page(books, f"/transfers/{id}")
    assert "Reconciled" in page(books, "/transfers")
    assert press(books, f"/transfers/{id}", action="nonsense").status_code == 400
    assert transfer.status == "AUTHORISED"


def test_contacts_are_merged_tracking_added_and_tax_rates_deleted(books: Books):
    old, new = books.organisation.add_contact("Shell"), books.organisation.add_contact("Shell Oil")
    rate = books.organisation.add_tax_rate("Tax on Purchases", "INPUT", "8.25")
    press(books, f"/contacts/{old.id}", action="merge", name="shell oil")
    assert (old.status, old.merged_to) == ("ARCHIVED", new.id)
    assert "merged into Shell Oil" in page(books, "/contacts")
    assert press(books, f"/contacts/{new.id}", action="merge", name="Shell").status_code == 400
    press(books, "/tracking", name="Region")
    (region,) = books.organisation.tracking.values()
    press(books, "/tracking", name="North", category=region.id)
    assert [option.name for option in region.options] == ["North"]
    assert press(books, "/tracking", name=" ").status_code == 400
    press(books, "/tax-rates/INPUT", action="delete")
    assert rate.status == "DELETED"
    assert "Tax on Purchases" in page(books, "/accounts")


def test_the_plan_may_have_one_currency_only(books: Books):
    press(books, "", period_lock_date="", end_of_year_lock_date="")
    assert books.organisation.multicurrency is False
    press(books, "", period_lock_date="", end_of_year_lock_date="", multicurrency="on")
    assert books.organisation.multicurrency is True


def test_a_deep_link_leads_to_the_transaction(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    target = f"/Bank/ViewTransaction.aspx?bankTransactionID={id}"
    base = "/xero-go/organisationlogin/default.aspx"
    for shortcode in (books.organisation.short_code, books.organisation.short_code.replace("!", "%21")):
        answer = books.http.get(f"{base}?shortcode={shortcode}&redirecturl={target}&accountID=x")
        assert answer.headers["location"] == f"/xero-books/{books.organisation.id}/transactions/{id}"
    assert books.http.get(f"{base}?shortcode=!NOONE&redirecturl={target}").status_code == 404
    nowhere = target.replace(id, "00000000-0000-0000-0000-000000000000")
    link = f"{base}?shortcode={books.organisation.short_code}&redirecturl={nowhere}"
    assert books.http.get(link).status_code == 404


def test_names_with_markup_are_shown_as_text(books: Books):
    books.organisation.add_contact("<script>alert(1)</script>")
    assert "<script>" not in page(books, "/contacts")


def test_switches_are_set_on_a_page_and_reset(books: Books):
    assert "idempotency seconds" in books.http.get("/xero-books/switches").text
    form = {"limits": "on", "minute_limit": "30", "latency": "0.3", "tracking": "refuse", "pagination": "on"}
    assert books.http.post("/xero-books/switches", data=form).status_code == 303
    switches = books.world.switches
    assert (switches.limits, switches.minute_limit, switches.latency) == (True, 30, 0.3)
    assert (switches.tracking, switches.references, switches.pagination) == ("refuse", False, True)
    assert books.http.post("/xero-books/switches", data={"tracking": "maybe"}).status_code == 400
    books.http.post("/xero-books/switches/reset")
    assert books.world.switches.limits is False


# The world itself


def test_the_seeds_tell_the_same_story_every_time(sandbox: Desk):
    def told() -> dict[str, str]:
        sandbox.worlds["xero"] = xero.fresh_world()
        xero.seed(sandbox)
        return {one.id: one.name for one in sandbox.worlds["xero"].organisations.values()}

    first = told()
    assert first == told()
    assert sorted(first.values()) == [
        "Harbor Charge Books",
        "Northwind Builders LLC",
        "Northwind Holdings",
        "Rival Interiors Ltd",
    ]
    northwind = sandbox.worlds["xero"].organisation("Northwind Builders LLC")
    assert northwind.account("404").name == "Bank Fees"
    assert [one.name for one in northwind.bank_accounts()] == ["PEX Cash Account", "Business Checking"]
    assert {one.name for one in northwind.tracking.values()} == {"Region", "Project"}
    assert sandbox.worlds["xero"].organisation("Harbor Charge Books").account("PEX Card").bank_account_type == (
        "CREDITCARD"
    )


def test_a_world_survives_a_restart(books: Books):
    id = books.accepted(books.spend())["BankTransactionID"]
    books.get("BankTransactions", page=1)
    books.desk.worlds["xero"] = pickle.loads(pickle.dumps(books.world))
    assert books.records("BankTransactions", page=1)[0]["BankTransactionID"] == id
    world: XeroWorld = books.desk.worlds["xero"]
    assert world is not books.world
    assert world.organisation("Acme LLC").with_reference("PEX-1")
