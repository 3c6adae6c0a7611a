"""The settings on one page of cards: everything of a company chosen, kept and saved at once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection as database
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from connectors.models import Connection, SettingsVersion
from connectors.records import Kind
from connectors.settings import ONE_PARTY, PURCHASE_DAY, STATIC, TAG, FieldSource, Settings
from pexsync import clock
from pexsync.pages import cards
from syncjobs.window import one_year_before
from tests import make
from tests.pages.conftest import sign_in
from tests.pages.filling_in import form_of, ids_of

pytestmark = pytest.mark.database

CARDS, EXAMPLE = "/dynamics365/setup/cards", "/dynamics365/setup/cards/example"
OFF = None


@pytest.fixture
def acme(sandbox, settings, transactional_db, tmp_path) -> Iterator[make.World]:
    make.point_at(settings, sandbox)
    settings.CLOCK_FILE = sandbox.clock.path = tmp_path / "clock.json"
    cache.clear()
    yield make.dynamics(sandbox)
    sandbox.clock.path = None


@pytest.fixture
def fresh(acme, change) -> make.World:
    """Connected, the company chosen, with nothing set up yet."""
    change(settings={}, settings_version=0, draft={})
    return acme


@pytest.fixture
def unchosen(acme, change) -> make.World:
    """Connected to a sign-in that opens two companies, none of them chosen yet."""
    another(acme)
    change(settings={}, settings_version=0, draft={}, company="", company_name="", company_facts={})
    return acme


def another(world: make.World, name: str = "Beta Builders") -> Any:
    """A second company of the same sign-in."""
    entra = world.sandbox.worlds["dynamics365"]
    tenant = next(iter(entra.tenants.values()))
    return entra.add_company(tenant.environments[0], name)


def place(world: make.World, company: Any) -> str:
    return str(world.sandbox.worlds["dynamics365"].place_of(company))


def page(browser: Any, address: str = CARDS) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer
    return unescape(answer.content.decode())


def words(shown: str) -> str:
    """What a person reads, without controls and space."""
    return " ".join(strip_tags(shown[shown.index("<main") :].replace("<", " <")).split())


def filled(browser: Any, **members: str | None) -> QueryDict:
    """The page as it stands in the browser, with these members changed."""
    data = form_of(browser.get(CARDS).content.decode())
    for name, value in members.items():
        if value is OFF:
            data.pop(name)
        else:
            data[name] = value
    return data


def send(browser: Any, data: QueryDict, go: str = "save") -> Any:
    return browser.post(CARDS, f"{data.urlencode()}&go={go}", content_type="application/x-www-form-urlencoded")


def save(browser: Any, **members: str | None) -> Any:
    return send(browser, filled(browser, **members))


def use(browser: Any, company: str, **members: str | None) -> Any:
    return send(browser, filled(browser, **{"settings-company": company}, **members), "company")


def saved(world: make.World) -> Settings:
    world.connection.refresh_from_db()
    return Settings.parse(world.connection.settings)


def right(world: make.World) -> dict[str, str]:
    """The least that a first page needs."""
    return {
        "books-pex_account": world.books.account("10950").id,
        "purchase-account-type": "tag",
        "purchase-account-tag": world.expense_tag.tag_id,
    }


def kinds(world: make.World) -> dict[str, str]:
    """The other kinds, each with its account."""
    [bank] = world.books.bank_accounts.values()
    return {
        "fee-on": "on", "fee-account": world.books.account("404").id,
        "transfer-on": "on", "transfer-account": f"bank:{bank.id}",
        "rebate-on": "on", "rebate-account": world.books.account("260").id,
    }  # fmt: skip


def department(world: make.World) -> str:
    return f"dimension:{world.books.dimension('DEPARTMENT').id}"


# --- the way ----------------------------------------------------------------------------------------------------------


def test_the_first_page_is_saved_at_once(browser, fresh):
    assert browser.get("/dynamics365/setup").url == CARDS

    answer = save(browser, **right(fresh))

    assert answer.url == "/dynamics365/sync"
    settings = saved(fresh)
    assert settings.kinds == {Kind.PURCHASE}
    assert settings.start_date is None
    assert settings.pex_account == fresh.books.account("10950").id
    assert settings.fields["account"] == FieldSource(source=TAG, tag=fresh.expense_tag.tag_id)
    assert settings.extra == {"vendors": "names", "create_vendors": True}
    assert fresh.connection.draft == {}
    version = SettingsVersion.objects.get(connection=fresh.connection)
    assert (version.version, version.by, version.settings) == (1, fresh.user, fresh.connection.settings)
    shown = words(page(browser, answer.url))
    assert "Set up. Press EXECUTE to read PEX; nothing goes to Dynamics 365 before you have seen" in shown


def test_every_kind_and_every_field(browser, fresh):
    field, value = department(fresh), next(iter(fresh.books.dimension("DEPARTMENT").values.values())).id
    tag = fresh.pex.add_tag("Team", options=[("x", "X")])
    vendor = fresh.books.add_vendor("PEX")
    general = fresh.books.account("429").id
    answers = {
        **right(fresh), **kinds(fresh),
        "settings-start_date": "2026-11-01", "settings-end_date": clock.today().isoformat(),
        "purchase-which": "all", "purchase-bill_pay": "on", "purchase-late_receipts": OFF,
        "purchase-posting_date": "purchase", "purchase-per_merchant": OFF,
        "purchase-account-default": general, "purchase-account-sync": "on",
        "purchase-party-value": vendor.id, f"purchase-{field}-type": "tag", f"purchase-{field}-tag": tag.tag_id,
        f"purchase-{field}-default": value, f"purchase-{field}-sync": "on",
        f"fee-{field}": value, f"rebate-{field}": value, "books-vendors": "ledger",
    }  # fmt: skip
    save(browser, **answers)

    settings = saved(fresh)
    assert settings.kinds == {Kind.PURCHASE, Kind.FEE, Kind.TRANSFER, Kind.REBATE}
    assert (settings.approved_only, settings.bill_pay, settings.late_receipts) == (False, True, False)
    assert (settings.posting_date, settings.party_mode) == (PURCHASE_DAY, ONE_PARTY)
    assert settings.fields == {
        "account": FieldSource(source=TAG, tag=fresh.expense_tag.tag_id, default=general),
        "party": FieldSource(source=STATIC, value=vendor.id),
        field: FieldSource(source=TAG, tag=tag.tag_id, default=value),
    }
    assert settings.synced == {"account": fresh.expense_tag.tag_id, field: tag.tag_id}
    assert {kind: dict(chosen) for kind, chosen in settings.by_kind.items()} == {
        Kind.FEE: {"account": fresh.books.account("404").id, field: value},
        Kind.TRANSFER: {"account": answers["transfer-account"]},
        Kind.REBATE: {"account": fresh.books.account("260").id, field: value},
    }
    assert settings.extra["vendors"] == "ledger"


def test_what_is_saved_is_what_the_page_shows_and_a_sync_works_by(browser, acme):
    before = form_of(page(browser))
    save(browser, **kinds(acme), **{"purchase-posting_date": "purchase"})
    after = form_of(page(browser))
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {"csrfmiddlewaretoken"} == {*kinds(acme), "purchase-posting_date", "seen"}
    acme.purchase("108.00", merchant="Staples")
    acme.sync()
    assert len(acme.books.lines()) == 2


def test_the_settings_are_said_in_words_beside_the_sync(browser, fresh, sandbox):
    field, value = department(fresh), next(iter(fresh.books.dimension("DEPARTMENT").values.values())).id
    one = {"purchase-per_merchant": OFF, "purchase-party-value": fresh.books.add_vendor("PEX").id}
    save(browser, **right(fresh), **kinds(fresh), **one, **{"purchase-posting_date": "purchase", f"fee-{field}": value})
    sandbox.calls.clear()
    shown = words(page(browser, "/dynamics365/sync"))
    for said in (
        "Posting date Purchase date",
        "PEX account 10950 PEX Card Prepaid",
        "Bank Account CHECKING Business Checking",
        "Fee account 404 Bank Fees",
        "Income account 260 Other Revenue",
        "Expense account PEX Tag: Expense Account",
        "Department of fees ADM Administration",
        "How vendors are kept By name",
        "Update vendors with the chosen company if needed On",
    ):
        assert said in shown
    assert "Vendor V" in shown
    assert "Contact" not in shown
    assert not sandbox.calls.calls


# --- what the page says -----------------------------------------------------------------------------------------------

SAID = (
    # Transaction Settings
    "Transaction Settings",
    "Start Date What settled on this day or later is synced.",
    "at most 1 year back",
    "left empty, it is 2 months back",
    "Auto-sync looks back 2 months at most",
    "End Date What settled on this day or earlier is synced. Left empty, it is the time of the sync.",
    "Choose a narrow range for testing and reconciliation.",
    "Company * All PEX transactions are booked in this Dynamics 365 company.",
    "PEX Account * The Dynamics 365 account of your PEX funds. It must be an asset account",
    "Ensure you have at least one active account of that sort in Dynamics 365",
    "Transfers to PEX are added to this account (debit).",
    "Purchases in PEX are deducted from this account (credit).",
    "Fees in PEX are deducted from this account (credit).",
    "Rebates to PEX are added to this account (debit).",
    # Purchases
    "Create journal entries in Dynamics for cardholder purchases",
    "Sync all purchases",
    "Only sync approved purchases recommended A purchase is sent once its reviewer approved it in PEX",
    "Sync purchase attachments Every receipt of a purchase goes to Dynamics 365 with it",
    "Purchases sync only once settled",
    "Use settlement dates",
    "Use purchase dates",
    "Note: A purchase may settle in a period following the time of purchase.",
    "Create a Dynamics vendor for each unique merchant On: a purchase goes to the vendor of its merchant’s name",
    "Off: choose one vendor for all, or a PEX tag, in the mappings below.",
    "Update vendors with the chosen company if needed On: a vendor this company does not have is created in it. Off:",
    "Use standardized vendor names On: “Target #0973226” is recorded simply as “Target”.",
    "Off: it stays “Target #0973226”.",
    # Purchase Field Mappings
    "Purchase Field Mappings",
    "Field Type Value Default Sync",
    "Each field in Dynamics 365 gets a static value or what a PEX tag says. A tag must exist in PEX before",
    "Static The same value for every purchase.",
    "purchases in PEX are not tagged with it and do not show it",
    "Tag You and your cardholders choose a value for each purchase in PEX",
    "That works once this setup is saved and the values were synced to PEX.",
    "Default Used where nobody tagged the purchase before it is synced. The purchase in PEX is not tagged with it.",
    "A tag always takes precedence over the default.",
    "Sync The values in Dynamics 365 become the options of the tag, by name",
    "One vendor for all purchases? Add one called “PEX” in Dynamics 365, then choose Static for Vendor",
    "Purchases in PEX will debit the Expense Account chosen here.",
    # Fees, Transfers, Rebates
    "Create journal entries in Dynamics for business & cardholder fees",
    "Fee Field Mappings Fees carry no tags: each field gets a static value",
    "The same account can be used for both purchases and fees.",
    "Fees in PEX will debit the Fee Account chosen here.",
    "Create journal entries in Dynamics for business transfers",
    "Transfer Field Mappings Transfers carry no tags",
    "Transfers to PEX will credit the Bank Account chosen here.",
    "Create journal entries in Dynamics for business rebates",
    "Rebate Field Mappings Rebates carry no tags",
    "Rebates to PEX will credit the Income Account chosen here.",
    "CANCEL",
    "SAVE",
)


def test_every_sentence_of_the_setup_stands_on_the_page(browser, acme):
    shown = words(page(browser))
    assert [said for said in SAID if said not in shown] == []
    limit = one_year_before(clock.today())
    assert f"({limit:%b} {limit.day}, {limit.year})" in shown


def test_every_control_has_a_label_of_its_own(browser, acme):
    shown = page(browser)
    data = form_of(shown)
    assert {
        "settings-start_date", "settings-end_date", "settings-company", "books-pex_account",
        "purchase-on", "purchase-which", "purchase-receipts", "purchase-late_receipts", "purchase-posting_date",
        "purchase-per_merchant", "purchase-clean_names", "books-create_vendors", "books-vendors",
        *(f"purchase-{key}-{each}" for key in ("account", "party", "tax", department(acme))
          for each in ("type", "value", "tag", "default")),
        *(f"{kind}-{key}" for kind in ("fee", "transfer", "rebate") for key in ("account", department(acme))),
    } <= set(data)  # fmt: skip
    assert "bill_payment-on" not in shown
    for label in ("Value of Expense Account", "Default of Department", "Type of Tax", "Department of fees"):
        assert f">{label}</label>" in shown


def test_a_charge_account_has_its_own_words(browser, acme):
    acme.business.funding = "Credit"
    acme.business.save()
    acme.books.add_account("20950", "PEX Card Owed", "Liabilities")
    shown = page(browser)
    told = words(shown)
    for said in (
        "It must be a liability account",
        "Purchases in PEX are charged to this account (credit).",
        "Fees in PEX are charged to this account (credit).",
        "Bill payments to PEX are taken off this account (debit).",
        "Rebates to PEX are taken off this account (debit).",
        "Create journal entries in Dynamics for business bill payments",
        "Bill payment Field Mappings",
        "Bill payments to PEX will credit the Bank Account chosen here.",
    ):
        assert said in told
    assert "business transfers" not in told
    assert "20950 PEX Card Owed" in shown


def test_names_from_the_books_are_text(browser, acme):
    acme.books.add_account("666", "<script>alert(1)</script>")
    shown = browser.get(CARDS).content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_all_cards_are_judged_at_once_and_nothing_typed_is_lost(browser, fresh):
    general = fresh.books.account("429").id
    answer = save(browser, **{
        "settings-start_date": "1999-01-02", "purchase-which": "all", "purchase-receipts": OFF,
        "purchase-account-type": "static", "fee-on": "on", "rebate-on": "on", "rebate-account": general,
        "books-vendors": "ledger",
    })  # fmt: skip
    shown = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "4 things to fix. Nothing you typed is lost." in shown
    summary = [
        ("id_settings-start_date", "The Start Date must not be before"),
        ("id_books-pex_account", "Choose the account in Dynamics 365 that stands for PEX."),
        ("id_purchase-account-value", "Choose the Expense Account of all purchases"),
        ("id_fee-account", "Choose the Fee Account of fees."),
    ]
    for control, says in summary:
        assert f'<a href="#{control}">{says}' in shown
        assert f'id="{control}_error"' in shown
        assert control in ids_of(shown)
    assert SettingsVersion.objects.count() == 0
    for kept in (form_of(shown), form_of(page(browser))):
        assert kept["settings-start_date"] == "1999-01-02"
        assert (kept["purchase-which"], kept["rebate-account"], kept["books-vendors"]) == ("all", general, "ledger")
        assert "purchase-receipts" not in kept
        assert kept["fee-on"] == "on"


def test_what_was_left_is_judged_when_it_is_asked_for(browser, fresh):
    save(browser, **{"settings-start_date": "1999-01-02"})
    assert "to fix" not in page(browser)
    assert "The Start Date must not be before" in page(browser, f"{CARDS}?look=1")


def test_an_option_that_is_gone_is_named_and_stays_visible(browser, acme):
    account = acme.books.account("449")
    general = {"purchase-account-type": "static", "purchase-account-value": account.id}
    save(browser, **general)
    account.blocked = True
    cache.clear()
    data = filled(browser)
    assert data["purchase-account-value"] == account.id
    answer = send(browser, data)
    assert answer.status_code == 422
    assert "449 Motor Vehicle Expenses is" in answer.content.decode()


@pytest.mark.parametrize("value", ["no\0thing", "x" * 300, "two\nlines"])
@pytest.mark.parametrize("name", ["books-pex_account", "purchase-account-tag", "settings-company"])
def test_what_no_list_ever_held_is_no_choice(browser, fresh, name, value):
    answer = save(browser, **{**right(fresh), name: value})
    assert answer.status_code == 422
    assert "Choose one of the list." in answer.content.decode()
    assert saved(fresh) == Settings()


# --- the company ------------------------------------------------------------------------------------------------------


def test_the_first_company_is_used_at_once_and_what_was_typed_stays(browser, unchosen):
    shown = words(page(browser))
    assert "USE THIS COMPANY" in shown
    assert "Its accounts and other lists are offered here once it is chosen." in shown
    assert "Purchases" not in shown

    answer = use(browser, place(unchosen, unchosen.books), **{"settings-end_date": clock.today().isoformat()})

    assert answer.url == CARDS
    unchosen.connection.refresh_from_db()
    connection = unchosen.connection
    assert (connection.company, connection.company_name) == (place(unchosen, unchosen.books), "Acme Builders LLC")
    assert (connection.company_facts["environment"], connection.state) == ("Production", "ready")
    shown = page(browser)
    assert "Acme Builders LLC is used." in shown
    assert "to fix" not in shown
    data = form_of(shown)
    assert data["settings-end_date"] == clock.today().isoformat()
    assert data["purchase-on"] == data["books-create_vendors"] == "on"
    assert save(browser, **right(unchosen)).url == "/dynamics365/sync"


def test_no_company_chosen_is_said(browser, unchosen):
    answer = use(browser, "")
    assert answer.status_code == 422
    assert '<a href="#id_settings-company">Choose the company' in answer.content.decode()


def test_without_a_company_save_uses_the_one_that_was_chosen(browser, unchosen):
    assert save(browser, **{"settings-company": place(unchosen, unchosen.books)}).url == CARDS
    unchosen.connection.refresh_from_db()
    assert unchosen.connection.company_name == "Acme Builders LLC"
    assert unchosen.connection.settings_version == 0


def test_a_company_somebody_chose_meanwhile_stays(browser, unchosen, monkeypatch):
    beta = place(unchosen, next(each for each in companies(unchosen) if each.name == "Beta Builders"))
    data = filled(browser, **{"settings-company": place(unchosen, unchosen.books)})
    theirs = sign_in(Client(), unchosen.user, unchosen.business)
    meanwhile(monkeypatch, lambda: use(theirs, beta))
    assert send(browser, data, "company").url == CARDS
    assert "Somebody chose Beta Builders meanwhile." in page(browser)
    unchosen.connection.refresh_from_db()
    assert unchosen.connection.company == beta


def companies(world: make.World) -> list[Any]:
    return list(world.sandbox.worlds["dynamics365"].companies())


def test_another_company_goes_by_way_of_its_own_page(browser, acme):
    beta = place(acme, another(acme))
    answer = use(browser, beta, **{"purchase-posting_date": "purchase"})
    assert answer.url.startswith("/dynamics365/company?company=")
    assert "You chose Beta Builders. So far it was Acme Builders LLC." in words(page(browser, answer.url))
    acme.connection.refresh_from_db()
    assert acme.connection.company == place(acme, acme.books)

    assert browser.post("/dynamics365/company", {"company": beta, "change": beta}).url == "/dynamics365/setup"

    data = form_of(page(browser))
    assert data["settings-company"] == beta
    assert data["purchase-posting_date"] == "purchase"
    answer = send(browser, data)
    assert answer.status_code == 422
    assert "What was chosen is no longer in Dynamics 365." in answer.content.decode()


def test_save_never_changes_the_company(browser, acme):
    answer = save(browser, **{"settings-company": place(acme, another(acme))})
    assert answer.status_code == 422
    assert "Acme Builders LLC is in use. Press USE THIS COMPANY to change it" in answer.content.decode()
    acme.connection.refresh_from_db()
    assert acme.connection.company == place(acme, acme.books)


def test_the_company_in_use_is_used_once_more_without_a_change(browser, acme):
    another(acme)
    before = saved(acme)
    assert use(browser, place(acme, acme.books)).url == CARDS
    assert saved(acme) == before


def test_a_sign_in_that_no_longer_opens_the_company_says_so(browser, acme):
    another(acme)
    tenant = next(iter(acme.sandbox.worlds["dynamics365"].tenants.values()))
    del tenant.environments[0].companies[acme.books.id]
    shown = words(page(browser))
    assert "This sign-in no longer opens Acme Builders LLC." in shown
    assert "Beta Builders" in page(browser)


def test_a_sign_in_without_companies_says_what_to_do(browser, unchosen):
    tenant = next(iter(unchosen.sandbox.worlds["dynamics365"].tenants.values()))
    tenant.environments[0].companies.clear()
    assert "Ensure you have at least one active company in Dynamics 365" in words(page(browser))


# --- two windows ------------------------------------------------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], Any]) -> None:
    """Let something happen after the page was opened for a POST, and before it is kept."""
    real = cards.open_step

    def between(*asked: Any) -> Any:
        opened = real(*asked)
        monkeypatch.setattr(cards, "open_step", real)
        what()
        return opened

    monkeypatch.setattr(cards, "open_step", between)


def test_what_somebody_saved_meanwhile_is_not_undone_unseen(browser, acme):
    mine = filled(browser, **{"purchase-posting_date": "purchase"})
    theirs = sign_in(Client(), acme.user, acme.business)
    save(theirs, **{"purchase-which": "all"})

    answer = send(browser, mine)

    assert answer.status_code == 422
    shown = unescape(answer.content.decode())
    assert "The settings were changed meanwhile, to version 2. Look once more." in shown
    assert (saved(acme).posting_date, saved(acme).approved_only) == ("settlement", False)
    again = form_of(shown)
    assert (again["purchase-posting_date"], again["seen"]) == ("purchase", "2")
    assert send(browser, again).url == "/dynamics365/sync"
    assert saved(acme).posting_date == "purchase"


def test_a_page_that_is_overtaken_and_wrong_says_both(browser, acme):
    mine = filled(browser, note="Why", **{"books-pex_account": ""})
    save(sign_in(Client(), acme.user, acme.business), **{"purchase-which": "all"})
    shown = unescape(send(browser, mine).content.decode())
    assert "changed meanwhile, to version 2" in shown
    assert "1 thing to fix." in shown
    assert form_of(shown)["note"] == "Why"


def test_of_two_saves_at_the_same_moment_the_second_is_told(browser, acme, monkeypatch):
    mine = filled(browser, **{"purchase-posting_date": "purchase"})
    theirs = sign_in(Client(), acme.user, acme.business)
    meanwhile(monkeypatch, lambda: save(theirs, **{"purchase-which": "all"}))
    assert send(browser, mine).status_code == 422
    assert SettingsVersion.objects.filter(connection=acme.connection).count() == 1


def test_save_twice_makes_one_version(browser, acme):
    data = filled(browser, **{"purchase-which": "all"})
    assert [send(browser, data).url for _ in range(2)] == ["/dynamics365/sync"] * 2
    assert SettingsVersion.objects.filter(connection=acme.connection).count() == 1
    acme.connection.refresh_from_db()
    assert acme.connection.draft == {}


def test_a_tag_another_connection_began_to_feed_meanwhile_is_named(browser, acme, monkeypatch):
    feeding = {**Settings(synced={"department": acme.expense_tag.tag_id}).stored(), "labels": {}}
    mine = filled(browser, **{"purchase-account-sync": "on"})
    meanwhile(
        monkeypatch,
        lambda: Connection.objects.create(
            business=acme.business, system="other", state="ready", installed_at=clock.now(), settings=feeding
        ),
    )
    answer = send(browser, mine)
    assert answer.status_code == 422
    assert "gets the options of a field in other meanwhile." in answer.content.decode()
    assert saved(acme).synced == {}
    assert "gets the options of a field in other already" in send(browser, mine).content.decode()


# --- settings in use --------------------------------------------------------------------------------------------------


def test_what_changed_is_told_with_the_version(browser, acme):
    save(browser)  # the names of what is chosen are kept from now on
    answer = save(
        browser, **{"purchase-posting_date": "purchase", "purchase-which": "all"}, note=" The auditors asked "
    )
    shown = words(page(browser, answer.url))
    assert "Saved as version 3: Which purchases and Posting date. They hold from the next sync" in shown
    assert SettingsVersion.objects.get(connection=acme.connection, version=3).note == "The auditors asked"
    versions = words(page(browser, "/dynamics365/settings"))
    assert "Posting date Settlement date Purchase date" in versions


def test_more_changes_than_fit_a_sentence_are_counted(browser, acme):
    save(browser)
    answer = save(browser, **kinds(acme), **{"purchase-posting_date": "purchase"})
    assert "Saved as version 3: Sync, Posting date" in page(browser, answer.url)
    assert "more. They hold from the next sync" in page(browser, save(browser, **{
        "purchase-which": "all", "purchase-bill_pay": "on", "purchase-receipts": OFF, "purchase-late_receipts": OFF,
        "purchase-clean_names": OFF,
    }).url)  # fmt: skip


def test_nothing_changed_is_said(browser, acme):
    save(browser)
    assert "Saved as version 3: nothing is different." in page(browser, save(browser).url)


def test_what_a_person_should_know_is_said_after_saving(browser, acme):
    answer = save(browser, **kinds(acme), **{"settings-end_date": clock.today().isoformat()})
    shown = words(page(browser, answer.url))
    assert "Before the first fees, transfers and rebates go to Dynamics 365 you see them in a preview" in shown
    assert "auto-sync stops then: empty the End Date when your test is over" in shown
    assert "Purchases without the Expense Account tag wait until somebody tags them" in shown


def test_an_earlier_start_asks_for_a_preview(browser, acme):
    recent = (clock.today() - timedelta(days=20)).isoformat()
    save(browser, **{"settings-start_date": recent})
    acme.connection.refresh_from_db()
    acme.connection.preview_confirmed = {"purchase": {}}
    acme.connection.save()
    answer = save(browser, **{"settings-start_date": ""})
    assert "The Start Date is earlier than before: press EXECUTE" in page(browser, answer.url)
    acme.connection.refresh_from_db()
    assert acme.connection.preview_confirmed == {}


def test_cancel_keeps_a_first_draft_and_drops_a_changed_one(browser, fresh, change):
    save(browser, **{"settings-start_date": "1999-01-02"})
    assert browser.post("/dynamics365/setup/leave").url == "/apps"
    assert form_of(page(browser))["settings-start_date"] == "1999-01-02"
    change(settings_version=1)
    assert browser.post("/dynamics365/setup/leave").url == "/dynamics365/sync"
    fresh.connection.refresh_from_db()
    assert fresh.connection.draft == {}


def test_there_is_no_review_of_its_own(browser, acme):
    assert browser.get("/dynamics365/setup/review").url == CARDS
    assert browser.post("/dynamics365/setup/review").url == CARDS


def test_a_system_of_steps_has_no_page_of_cards(browser, acme, sandbox):
    xero = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
    theirs = sign_in(Client(), xero.user, xero.business)
    assert theirs.get("/xero/setup/cards").status_code == 404
    assert theirs.post("/xero/setup/cards", {"go": "save"}).status_code == 404
    assert browser.get("/dynamics365/setup/accounts").status_code == 404


def test_an_old_version_is_restored_or_mended_here(browser, acme):
    static = {"purchase-account-type": "static"}
    save(browser, **static, **{"purchase-account-value": acme.books.account("449").id})
    save(browser, **static, **{"purchase-account-value": acme.books.account("404").id})
    assert browser.post("/dynamics365/settings/2", {"seen": "3"}).url == "/dynamics365/settings"
    assert saved(acme).fields["account"].value == acme.books.account("449").id
    acme.books.account("404").blocked = True
    cache.clear()
    answer = browser.post("/dynamics365/settings/3", {"seen": "4"})
    assert answer.url == f"{CARDS}?look=1"
    shown = page(browser, answer.url)
    assert "404 Bank Fees is" in shown
    assert "Settings: something in version 3 is no longer there." in shown


def test_settings_of_another_business_are_copied_onto_the_page(browser, acme, sandbox, change):
    other = make.dynamics(sandbox, "Second Site", 6630, "ann.admin")
    other.set(posting_date="purchase", approved_only=False)
    change(settings={}, settings_version=0, draft={})
    answer = browser.post("/dynamics365/settings/copy", {"business": other.business.pk}, follow=True)
    data = form_of(answer.content.decode())
    assert (data["purchase-posting_date"], data["purchase-which"]) == ("purchase", "all")
    assert SettingsVersion.objects.count() == 0


# --- causes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "control"),
    [
        ("company", "id_settings-company"),
        ("start_date", "id_settings-start_date"),
        ("end_date", "id_settings-end_date"),
        ("pex_account", "id_books-pex_account"),
        ("kinds", "id_purchase-on"),
        ("posting_date", "id_purchase-posting_date"),
        ("receipts", "id_purchase-receipts"),
        ("vendors", "id_books-vendors"),
        ("create_vendors", "id_books-create_vendors"),
        ("account", "id_purchase-account-tag"),
        ("synced:account", "id_purchase-account-tag"),
        ("party", "id_purchase-per_merchant"),
        ("tax", "id_purchase-tax-type"),
        ("dimension", "id_purchase-{}-type"),
        ("fee:account", "id_fee-account"),
        ("transfer:account", "id_transfer-account"),
        ("rebate:dimension", "id_rebate-{}"),
    ],
)
def test_a_cause_opens_its_card_at_the_control(browser, acme, field, control):
    acme.all_kinds()
    key = department(acme)
    answer = browser.get("/dynamics365/setup", {"field": field.replace("dimension", key)})
    assert answer.url == f"{CARDS}#{control.format(key)}"
    assert control.format(key) in ids_of(page(browser))


def test_a_problem_of_the_settings_stands_above_the_cards(browser, acme, change, a_row):
    change(settings_problem="429 General Expenses is blocked. Choose another in Settings.")
    assert "429 General Expenses is blocked." in page(browser)


# --- the books and PEX ------------------------------------------------------------------------------------------------


def test_books_that_do_not_answer_change_nothing(browser, acme, settings):
    acme.all_kinds()
    acme.set(synced={"account": acme.expense_tag.tag_id}, extra={"vendors": "ledger", "create_vendors": False})
    before = saved(acme)
    settings.BC_API_URL = "http://127.0.0.1:9"
    shown = page(browser)
    assert "The lists of Dynamics 365 could not be read." in shown
    assert "As chosen before" in shown
    assert f'href="{CARDS}?again=1">TRY AGAIN' in shown
    assert send(browser, form_of(shown)).url == "/dynamics365/sync"
    assert saved(acme).stored() == before.stored()


def test_a_page_drawn_before_the_books_fell_silent_is_kept_as_far_as_it_can_be(browser, acme, settings):
    acme.all_kinds()
    before, data = saved(acme), filled(browser, **{"purchase-posting_date": "purchase"})
    cache.clear()
    settings.BC_API_URL = "http://127.0.0.1:9"
    send(browser, data)
    after = saved(acme)
    assert (after.fields, after.by_kind, after.pex_account) == (before.fields, before.by_kind, before.pex_account)
    assert after.posting_date == "purchase"


def test_an_ended_sign_in_leads_to_connecting_again(browser, acme):
    acme.connection.credential.die("Microsoft ended the sign-in.")
    browser.get(CARDS)
    acme.connection.refresh_from_db()
    assert acme.connection.state == "failed"
    assert browser.get(CARDS).url == "/dynamics365/connect"
    assert browser.post(CARDS, {"go": "save"}).url == "/dynamics365/connect"


def test_the_books_are_asked_once_for_looking_and_saving(browser, acme, sandbox):
    data = filled(browser, **{"purchase-which": "all"})
    sandbox.calls.clear()
    assert send(browser, data).status_code == 302
    browser.get(CARDS)
    assert [call for call in sandbox.calls.calls if call.system == "bc-api"] == []


def test_a_thousand_accounts_and_more_tags_cost_no_more_queries(browser, acme):
    def queries() -> int:
        with CaptureQueriesContext(database) as seen:
            assert browser.get(CARDS).status_code == 200
        # PostgreSQL is told the tenant before each: that names no table.
        return sum(' FROM "' in query["sql"] for query in seen.captured_queries)

    acme.all_kinds()
    browser.get(CARDS)
    few = queries()
    for number in range(1000):
        acme.books.add_account(f"A{number}", f"Account {number}")
    for number in range(5):
        acme.pex.add_tag(f"Tag {number}", options=[("x", "X")])
    shown = page(browser, f"{CARDS}?again=1")
    assert shown.count("Account 999") == 4  # value and default of purchases, fees and rebates
    assert "1,005 values" in shown
    assert queries() == few
    assert few <= 20


# --- the example ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bought(acme) -> make.World:
    """Acme's mirror holds a purchase and a fee."""
    acme.all_kinds()
    acme.purchase("108.00", merchant="Target #0973226")
    acme.pex.add_card_fee("4.00")
    acme.sync()
    return acme


def example(browser: Any, data: QueryDict, more: str = "") -> str:
    answer = browser.post(
        EXAMPLE,
        data.urlencode() + more,
        content_type="application/x-www-form-urlencoded",
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200
    shown = unescape(answer.content.decode())
    return " ".join(strip_tags(shown.replace("<", " <")).split())


def test_the_newest_purchase_stands_beside_the_cards(browser, bought):
    shown = words(page(browser))
    assert "As it would be in Dynamics 365 Purchase Fee Transfer Rebate" in shown
    assert "429 General Expenses" in shown
    assert "10950 PEX Card Prepaid $108.00" in shown
    assert "How vendors are kept By name" in shown


def test_it_is_of_the_kind_touched_last_and_follows_what_is_typed(browser, bought):
    data = filled(browser, **{"fee-account": bought.books.account("449").id})
    data["about"] = "fee"
    shown = example(browser, data)
    assert "449 Motor Vehicle Expenses Card fee $4.00" in shown
    assert "How vendors are kept" not in shown
    assert "429 General Expenses" in example(browser, data, "&of=purchase")
    saved_now = saved(bought)
    assert saved_now.by_kind[Kind.FEE]["account"] == bought.books.account("404").id


def test_another_kind_begins_with_its_newest(browser, bought):
    bought.purchase("7.25", merchant="Staples")
    bought.sync()
    data = filled(browser)
    data["example"] = "1"
    assert "$108.00" in example(browser, data)
    assert "$7.25" in example(browser, data, "&of=purchase")


def test_a_kind_that_is_off_has_no_example(browser, bought):
    data = filled(browser, **{"fee-on": OFF})
    data["about"] = "fee"
    assert "Purchase Transfer Rebate" in example(browser, data)
    assert "$108.00" in example(browser, data)


def test_a_posting_date_and_vendors_show_in_the_example(browser, bought):
    off = filled(browser, **{"books-create_vendors": OFF, "purchase-clean_names": OFF})
    assert "Target #0973226, waits for somebody to add it in Dynamics 365 if it is not there yet" in example(
        browser, off
    )


def test_without_a_script_the_whole_page_comes_back_with_the_kind_asked_for(browser, bought):
    data = filled(browser, **{"purchase-which": "all"})
    answer = browser.post(EXAMPLE, data.urlencode() + "&of=fee", content_type="application/x-www-form-urlencoded")
    shown = answer.content.decode()
    assert form_of(shown)["about"] == "fee"
    assert form_of(shown)["purchase-which"] == "all"
    assert "$4.00" in shown


def test_before_a_company_is_chosen_the_example_says_what_is_missing(browser, unchosen):
    unchosen.purchase("12.50")
    answer = browser.get(CARDS)
    assert answer.status_code == 200
    assert 'id="example"' in answer.content.decode()
