"""Settings that were: each version in words, going back to one, and copying those of another business."""

import threading
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from connectors.models import Connection, SettingsVersion
from connectors.records import Field, Kind, Option
from connectors.settings import ONE_PARTY, STATIC, TAG, FieldSource, Settings
from connectors.xero.connector import Xero
from pexsync import clock
from pexsync.accounts import tenancy
from pexsync.accounts.models import Membership
from pexsync.pages import versions
from pexsync.pages.copying import Pattern, copied
from pexsync.pages.steps import Books
from pexsync.pages.versions import Difference
from tagging.models import Tag
from tests import make
from tests.pages.conftest import sign_in

pytestmark = pytest.mark.database


def words(answer: Any) -> str:
    page = answer.content.decode()
    return " ".join(strip_tags(page[page.index("<main") :].replace("<", " <")).split())


def saved(world: make.World, note: str = "", **changes: Any) -> Connection:
    """A SAVE of Acme's admin that changes these settings."""
    world.connection.refresh_from_db()
    settings = Settings.parse(world.connection.settings | changes)
    names = {
        **{f"option:account:{each.id}": f"{each.code} {each.name}" for each in world.books.accounts.values()},
        f"tag:{world.expense_tag.tag_id}": "Expense Account",
        "field:account": "Expense Account",
    }
    names[f"option:pex_account:{settings.pex_account}"] = "PEX Cash Account"
    return versions.keep(world.connection, settings, names, world.user, note)


def account(world: make.World, code: str) -> dict[str, Any]:
    return {"account": FieldSource(source=STATIC, value=world.books.account(code).id).stored()}


# --- in words ---------------------------------------------------------------------------------------------------------


def test_what_changed_is_said_by_the_names_kept_with_either_version():
    before = Settings(fields={"account": FieldSource(source=TAG, tag="7")}).stored()
    after = Settings(
        fields={"account": FieldSource(source=TAG, tag="7", default="a")}, kinds=frozenset({Kind.PURCHASE, Kind.FEE})
    ).stored()
    before["labels"] = {"tag:7": "EXPENSE TYPE", "field:account": "Expense Account"}
    after["labels"] = {"option:account:a": "429 General"}
    assert versions.differences(before, after) == [
        Difference("Sync", "Nothing", "Purchases, fees"),
        Difference("Which purchases", "Not set", "Approved purchases only"),
        Difference("Card charges that paid a bill", "Not set", "Off"),
        Difference("Expense Account", "PEX Tag: EXPENSE TYPE", "PEX Tag: EXPENSE TYPE, otherwise 429 General"),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"approved_only": False}, ("Which purchases", "Approved purchases only", "All settled purchases")),
        ({"start_date": "2026-05-03"}, ("Start Date", "Two months back", "May 3, 2026")),
        ({"end_date": "2026-05-03"}, ("End Date", "Date of sync", "May 3, 2026")),
        ({"receipts": False}, ("Attachments", "On", "Off")),
        ({"late_receipts": False}, ("Receipts added later", "On", "Off")),
        ({"bill_pay": True}, ("Card charges that paid a bill", "Off", "On")),
        ({"pex_account": "b"}, ("PEX account", "Not set", "PEX Cash")),
        ({"posting_date": "purchase"}, ("Posting date", "Settlement date", "Purchase date")),
        (
            {"party_mode": ONE_PARTY, "party": "p"},
            ("Contact", "One for each merchant, standardized names", "PEX"),
        ),
        (
            {"clean_names": False},
            ("Contact", "One for each merchant, standardized names", "One for each merchant, as PEX"),
        ),
        ({"by_kind": {"fee": {"party": "p"}}}, ("Fees: Contact", "Not set", "PEX")),
        ({"synced": {"tracking:1": "7"}}, ("Options of PROJECTS in PEX", "Not set", "Tag EXPENSE TYPE")),
        ({"extra": {"tax": "none"}}, ("Tax", "Not set", "No tax")),
        ({"extra": {"create": True}}, ("Create contacts", "Not set", "On")),
        (
            {"party_mode": ONE_PARTY, "fields": {"party": {"source": "tag", "tag": "7", "default": "p"}}},
            (
                "Contact",
                "One for each merchant, standardized names",
                "PEX Tag: EXPENSE TYPE, otherwise PEX",
            ),
        ),
    ],
)
def test_every_setting_is_told_in_words(changes, told):
    names = {
        "option:pex_account:b": "PEX Cash",
        "option:party:p": "PEX",
        "field:tracking:1": "PROJECTS",
        "tag:7": "EXPENSE TYPE",
        "extra:tax": "Tax",
        "extra:create": "Create contacts",
        "extra:tax:none": "No tax",
    }
    before = Settings(kinds=frozenset({Kind.PURCHASE})).stored()
    assert versions.differences(before, {**before, **changes, "labels": names}) == [told]
    assert versions.differences(before, before) == []


def test_another_account_of_the_same_name_is_another_one():
    before, after = Settings(pex_account="a").stored(), Settings(pex_account="b").stored()
    names = {"option:pex_account:a": "PEX Cash", "option:pex_account:b": "PEX Cash"}
    assert versions.differences(before, {**after, "labels": names}) == [
        ("PEX account", "PEX Cash", "PEX Cash (another one)")
    ]


def test_names_are_kept_by_what_was_chosen():
    fields = [
        Field("account", "Expense Account"),
        Field("account", "Source Cash", kinds=(Kind.TRANSFER,), options="bank"),
    ]
    books = Books(
        Xero,
        False,
        clock.today(),
        fields,
        {"account": [Option("x", "General", "429")], "bank": [Option("x", "Checking")]},
    )
    settings = Settings(
        fields={"account": FieldSource(value="x")}, by_kind={Kind.TRANSFER: {"account": "gone"}}, extra={"tax": "none"}
    )
    names = versions.names_of(settings, books)
    assert names["option:account:x"] == "429 General"
    assert names["field:transfer:account"] == "Source Cash"
    assert (names["extra:tax"], names["extra:tax:none"]) == ("Tax", "No tax")
    assert "option:account:gone" not in names


# --- the list, and going back -----------------------------------------------------------------------------------------


def test_the_list_says_who_changed_what_and_when(browser, acme):
    saved(acme)
    saved(acme, fields=account(acme, "449"), note="After the audit")
    shown = words(browser.get("/xero/settings"))
    assert "Version 3 in use" in shown
    assert "Ann · After the audit" in shown
    assert "Expense Account PEX Tag: Expense Account 449 Motor Vehicle Expenses" in shown
    assert shown.index("Version 3") < shown.index("Version 2")
    assert "The first version." in shown
    assert 'href="/xero/settings"' in browser.get("/xero/sync").content.decode()


def test_the_list_asks_the_database_no_more_for_more_versions(browser, acme):
    def queries() -> int:
        with CaptureQueriesContext(database) as made:
            browser.get("/xero/settings")
        return len(made)

    saved(acme)
    saved(acme, receipts=False)
    queries()
    few = queries()
    for _ in range(15):
        saved(acme)
    assert queries() == few


def test_a_version_is_seen_before_it_is_restored_and_becomes_a_new_one(browser, acme):
    saved(acme)
    saved(acme, fields=account(acme, "449"))
    before = browser.get("/xero/settings/2")
    shown = words(before)
    assert "What restoring it changes" in shown
    assert "Expense Account 449 Motor Vehicle Expenses PEX Tag: Expense Account" in shown
    assert "RESTORE VERSION 2" in shown
    assert SettingsVersion.objects.count() == 2

    assert browser.post("/xero/settings/2", {"seen": "3"}).url == "/xero/settings"

    acme.connection.refresh_from_db()
    newest = SettingsVersion.objects.latest("version")
    assert (newest.version, newest.note, newest.by) == (4, "Version 2 restored", acme.user)
    assert acme.connection.settings_version == 4
    assert Settings.parse(acme.connection.settings).fields["account"].tag == acme.expense_tag.tag_id
    assert "Version 2 is restored, as version 4." in words(browser.get("/xero/settings"))


def test_versions_are_compared_with_each_other(browser, acme):
    saved(acme)
    saved(acme, receipts=False)
    saved(acme, receipts=True)
    shown = words(browser.get("/xero/settings/3?with=2"))
    assert "Compared with version 2" in shown
    assert "Attachments On Off" in shown
    assert "RESTORE" not in shown
    assert "RESTORE VERSION 3" in words(browser.get("/xero/settings/3?with=nonsense"))
    assert browser.get("/xero/settings/99").status_code == 404


def test_what_somebody_saved_meanwhile_is_not_undone_unseen(browser, acme):
    saved(acme)
    saved(acme, receipts=False)
    saved(acme, approved_only=False)
    answer = browser.post("/xero/settings/2", {"seen": "3"}, follow=True)
    assert "The settings were changed meanwhile, to version 4." in words(answer)
    acme.connection.refresh_from_db()
    assert acme.connection.settings_version == 4
    assert browser.post("/xero/settings/2", {}).url == "/xero/settings/2"


def feeding(world: make.World) -> Connection:
    """A second connection of the business, which feeds the tag of expense accounts."""
    return Connection.objects.create(
        business=world.business,
        system="other",
        state="ready",
        installed_at=clock.now(),
        settings=Settings(synced={"department": world.expense_tag.tag_id}).stored(),
    )


def test_a_tag_that_another_connection_began_to_feed_meanwhile_is_not_fed_twice(acme):
    feeding(acme)
    with pytest.raises(versions.Overtaken, match="Expense Account gets the options of a field in other meanwhile"):
        saved(acme, synced={"account": acme.expense_tag.tag_id})
    acme.connection.refresh_from_db()
    assert (acme.connection.settings_version, acme.connection.settings.get("synced")) == (1, {})


@pytest.mark.skipif(database.vendor == "sqlite", reason="SQLite lets one write after the other")
def test_of_two_connections_that_begin_to_feed_one_tag_at_once_one_is_told(acme):
    other = feeding(acme)
    Connection.objects.filter(pk=other.pk).update(settings={})
    wanted, done = Settings(synced={"any": acme.expense_tag.tag_id}), []

    def second() -> None:
        try:
            versions.keep(other, wanted, {}, acme.user)
        except versions.Overtaken:
            done.append("told")
        finally:
            database.close()

    with tenancy.scope(acme.business.pk):
        saved(acme, synced={"account": acme.expense_tag.tag_id})
        late = threading.Thread(target=second)
        late.start()
        waits_for_a_lock(late)
    late.join()
    assert done == ["told"]


def waits_for_a_lock(thread: threading.Thread) -> None:
    """Return once a statement of this database waits for another's lock, or the thread has ended without waiting.

    Who waits for a row is told without its database; what else that session holds names it.
    """
    waiting = """
        select count(*) from pg_locks waits where not granted and exists (
            select from pg_locks holds join pg_database on pg_database.oid = holds.database
            where holds.pid = waits.pid and datname = current_database()
        )
    """
    while thread.is_alive():
        with database.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return


def test_settings_looked_at_for_one_company_are_not_kept_for_another(acme):
    acme.connection.refresh_from_db()
    Connection.objects.filter(pk=acme.connection.pk).update(company="another", company_name="Another LLC")
    with pytest.raises(versions.Overtaken, match="changed meanwhile, to Another LLC"):
        versions.keep(acme.connection, Settings(), {}, acme.user)
    assert not SettingsVersion.objects.exists()


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "x\0"])
def test_a_version_that_is_no_number_is_none(browser, acme, number):
    saved(acme)
    saved(acme, receipts=False)
    assert "RESTORE VERSION 2" in words(browser.get("/xero/settings/2", {"with": number}))
    browser.post("/xero/settings/2", {"seen": number})
    acme.connection.refresh_from_db()
    assert acme.connection.settings_version == 3


def test_what_is_gone_from_the_books_is_mended_in_the_setup_first(browser, acme):
    saved(acme, fields=account(acme, "449"))
    saved(acme, fields=account(acme, "404"))
    acme.books.account("449").status = "ARCHIVED"
    answer = browser.post("/xero/settings/2", {"seen": "3"})
    assert answer.url == "/xero/setup/accounts?look=1"
    acme.connection.refresh_from_db()
    assert acme.connection.settings_version == 3
    assert acme.connection.draft["note"] == "Version 2 restored"
    shown = words(browser.get(answer.url))
    assert "something in version 2 is no longer there" in shown
    assert "449 Motor Vehicle Expenses is archived in Xero" in shown


def test_books_that_do_not_answer_restore_nothing(browser, acme, settings):
    saved(acme)
    saved(acme, receipts=False)
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    answer = browser.post("/xero/settings/2", {"seen": "3"}, follow=True)
    assert "Nothing was restored; try again." in words(answer)
    acme.connection.refresh_from_db()
    assert acme.connection.settings_version == 3


def test_without_a_connection_nothing_is_restored(browser, acme, change):
    saved(acme)
    saved(acme, receipts=False)
    acme.connection.refresh_from_db()
    change(state="failed", failure="Xero ended the sign-in.")
    assert browser.post("/xero/settings/2", {"seen": "3"}).url == "/xero/connect"
    assert SettingsVersion.objects.count() == 2


# --- copying ----------------------------------------------------------------------------------------------------------


def tag(tag_id: str, name: str, type_: str = "Dropdown") -> Tag:
    return Tag(tag_id=tag_id, name=name, type=type_)


THEIRS = Settings(
    kinds=frozenset({Kind.PURCHASE, Kind.FEE, Kind.TRANSFER}),
    pex_account="bank",
    party_mode=ONE_PARTY,
    party="pex",
    fields={
        "account": FieldSource(source=TAG, tag="1", default="general"),
        "tracking:theirs": FieldSource(source=TAG, tag="2"),
        "description": FieldSource(source=TAG, tag="3"),
    },
    by_kind={Kind.FEE: {"account": "fees", "party": "pex"}, Kind.TRANSFER: {"account": "checking"}},
    synced={"account": "1"},
    extra={"tax": "none"},
)
NAMES = {
    "option:pex_account:bank": "PEX Cash",
    "option:party:pex": "PEX",
    "option:account:general": "429 General Expenses",
    "option:account:fees": "404 Bank Fees",
    "option:account:checking": "090 Checking",
    "field:tracking:theirs": "PROJECTS",
}
THEIR_TAGS = [tag("1", "Expense Type"), tag("2", "Projects"), tag("3", "Purpose", "Text")]


def ours(**changes: Any) -> Books:
    banks = (Kind.TRANSFER, Kind.BILL_PAYMENT)
    given: dict[str, Any] = {
        "connector": Xero,
        "charge": False,
        "today": clock.today(),
        "fields": [
            Field("account", "Expense Account", required=True, kinds=(Kind.PURCHASE, Kind.FEE)),
            Field("account", "Source Cash", required=True, kinds=banks, options="pex_account"),
            Field("party", "Contact", required=True, kinds=(Kind.FEE,)),
            Field("tracking:ours", "Projects"),
            Field("description", "Item Description", tag_types=("Text",)),
        ],
        "options": {
            "pex_account": [Option("our bank", "PEX Cash"), Option("our checking", "Checking", "090")],
            "account": [
                Option("our general", "General Expenses", "500"),
                Option("our fees", "Charges", "404"),
                Option("old", "General Expenses", "429", active=False),
            ],
            "party": [Option("our pex", "Pex")],
        },
        "tags": [tag("11", "expense type"), tag("12", "Projects"), tag("13", "Purpose", "Text")],
    }
    return Books(**{**given, **changes})


def test_the_same_company_keeps_its_ids_and_tags_go_by_name():
    made = copied(Pattern(THEIRS, {}, THEIR_TAGS, same_company=True), Settings(), ours(fields=[
        *ours().fields, Field("tracking:theirs", "PROJECTS"),
    ]))  # fmt: skip
    assert made.left == ()
    assert made.settings.pex_account == "bank"
    assert made.settings.fields["account"] == FieldSource(source=TAG, tag="11", default="general")
    assert made.settings.fields["tracking:theirs"].tag == "12"
    assert made.settings.by_kind == THEIRS.by_kind
    assert made.settings.extra == {"tax": "none"}


def test_another_company_is_matched_by_code_or_exact_name():
    made = copied(Pattern(THEIRS, NAMES, THEIR_TAGS, same_company=False), Settings(extra={"tax": ""}), ours())
    assert made.left == ()
    settings = made.settings
    assert (settings.pex_account, settings.party) == ("our bank", "our pex")
    assert settings.fields["account"] == FieldSource(source=TAG, tag="11", default="our general")
    assert settings.fields["tracking:ours"].tag == "12"
    assert settings.fields["description"].tag == "13"
    assert settings.by_kind[Kind.FEE] == {"account": "our fees", "party": "our pex"}
    assert settings.by_kind[Kind.TRANSFER] == {"account": "our checking"}
    assert settings.synced == {"account": "11"}
    assert settings.extra == {"tax": ""}


def test_what_has_no_match_is_left_open_and_named():
    bare = ours(
        options={"account": [Option("a", "General Expenses", "1"), Option("b", "General Expenses", "2")]},
        tags=[tag("11", "Expense Type", "Text")],
        fields=[each for each in ours().fields if not each.key.startswith("tracking")],
    )
    made = copied(Pattern(THEIRS, NAMES, THEIR_TAGS, same_company=False), Settings(), bare)
    assert set(made.left) == {
        "PEX account: PEX Cash",
        "Contact: PEX",
        "Expense Account: PEX tag Expense Type",
        "Default of Expense Account: 429 General Expenses",
        "PROJECTS",
        "Item Description: PEX tag Purpose",
        "Expense Account of fees: 404 Bank Fees",
        "Contact of fees: PEX",
        "Source Cash of transfers: 090 Checking",
        "Options of Expense Account: PEX tag Expense Type",
    }
    assert made.settings.pex_account == ""
    assert made.settings.fields == {"account": FieldSource(source=TAG)}


def test_a_contact_is_matched_by_its_whole_name_alone():
    pattern = Pattern(Settings(party_mode=ONE_PARTY, party="x"), {"option:party:x": "7 Eleven"}, (), same_company=False)
    assert copied(pattern, Settings(), ours(options={"party": [Option("e", "Eleven")]})).settings.party == ""


def test_a_tag_that_another_connection_feeds_is_not_fed_twice():
    made = copied(Pattern(THEIRS, NAMES, THEIR_TAGS, same_company=False), Settings(), ours(taken={"11": "Intacct"}))
    assert made.settings.synced == {}


def test_days_and_kinds_stay_those_of_the_business():
    own = Settings(start_date=clock.today())
    made = copied(Pattern(THEIRS, NAMES, THEIR_TAGS, same_company=False), own, ours(charge=True))
    assert made.settings.start_date == clock.today()
    assert made.settings.kinds == {Kind.PURCHASE, Kind.FEE}
    assert Kind.TRANSFER not in made.settings.by_kind


@pytest.fixture
def second(acme, sandbox) -> make.World:
    """Another business of the same person, with tags of the same names and books of its own."""
    world = make.world(sandbox, "Second Street", 6600, "ann.admin")
    for each in (acme, world):
        Tag.objects.create(
            business=each.business,
            tag_id=each.expense_tag.tag_id,
            name="Expense Account",
            type="Dropdown",
            read_at=clock.now(),
        )
    return world


def test_settings_of_ones_other_business_are_copied_into_the_draft(browser, acme, second):
    saved(acme, fields=account(acme, "449"), receipts=False)
    theirs = sign_in(browser, second.user, second.business)
    page = words(theirs.get("/xero/settings/copy"))
    assert "Acme Builders Acme Builders LLC · version 2" in page

    answer = theirs.post("/xero/settings/copy", {"business": acme.business.pk})

    assert answer.url == "/xero/setup/review"
    second.connection.refresh_from_db()
    assert second.connection.settings_version == 1
    draft = Settings.parse(second.connection.draft)
    assert draft.fields["account"].value == second.books.account("449").id
    assert draft.pex_account == second.books.account("PEX Cash Account").id
    assert not draft.receipts
    shown = theirs.get(answer.url)
    assert "Copied from Acme Builders. Everything has its match here." in words(shown)

    seen = shown.content.decode().partition('name="seen" value="')[2].partition('"')[0]
    theirs.post("/xero/setup/review", {"seen": seen})
    kept = SettingsVersion.objects.get(connection=second.connection)
    assert kept.note == "Copied from another business"
    assert "Acme" not in str(kept.settings)


def test_what_is_left_open_is_told_and_asked_first(browser, acme, second):
    acme.books.add_account("777", "Only here")
    saved(acme, fields=account(acme, "777"))
    theirs = sign_in(browser, second.user, second.business)
    answer = theirs.post("/xero/settings/copy", {"business": acme.business.pk})
    assert answer.url == "/xero/setup/accounts?look=1"
    shown = words(theirs.get(answer.url))
    assert "1 thing to choose: Expense Account: 777 Only here." in shown
    assert "Nothing is used before you press SAVE." in shown


def test_books_that_do_not_answer_copy_nothing(browser, acme, second, settings):
    saved(acme)
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = "http://127.0.0.1:9"
    theirs = sign_in(browser, second.user, second.business)
    answer = theirs.post("/xero/settings/copy", {"business": acme.business.pk}, follow=True)
    assert "Nothing was copied; try again." in words(answer)
    second.connection.refresh_from_db()
    assert second.connection.draft == {}


def test_a_stranger_copies_nothing(client, acme, rival):
    saved(acme)
    browser = sign_in(client, rival.user, rival.business)
    assert "Acme" not in browser.get("/xero/settings/copy").content.decode()
    assert "COPY FROM" not in browser.get("/xero/settings").content.decode()
    assert browser.post("/xero/settings/copy", {"business": acme.business.pk}).status_code == 404
    rival.connection.refresh_from_db()
    assert rival.connection.draft == {}


def test_a_business_where_a_permission_is_missing_is_not_copied(browser, acme, second):
    saved(acme)
    Membership.objects.filter(business=acme.business).update(permissions=["EditBusinessProfile"])
    theirs = sign_in(browser, second.user, second.business)
    assert "Acme" not in words(theirs.get("/xero/settings/copy"))
    assert theirs.post("/xero/settings/copy", {"business": acme.business.pk}).status_code == 404


def test_copying_is_offered_where_a_setup_begins(browser, acme, second):
    theirs = sign_in(browser, second.user, second.business)
    Connection.objects.filter(pk=second.connection.pk).update(settings={}, settings_version=0)
    assert 'href="/xero/settings/copy"' in theirs.get("/xero/connect").content.decode()
    Connection.objects.filter(pk=acme.connection.pk).update(settings_version=0)
    assert 'href="/xero/settings/copy"' not in theirs.get("/xero/connect").content.decode()
