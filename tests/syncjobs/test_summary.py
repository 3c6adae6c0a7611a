"""The settings in words, with the names the books had when they were saved."""

from datetime import date

from connectors.records import Kind
from connectors.settings import ONE_PARTY, PURCHASE_DAY, TAG, FieldSource, Settings
from connectors.xero.connector import Xero
from syncjobs.summary import summary

NAMES = {
    "option:pex_account:bank": "PEX Cash",
    "option:account:429": "429 General",
    "option:account:260": "260 Other Revenue",
    "option:account:checking": "Checking",
    "option:party:p": "PEX",
    "tag:10": "PROJECTS",
    "tag:11": "EXPENSE TYPE",
    "field:account": "Expense Account",
    "field:tracking:1": "Projects",
}
PURCHASES = Settings(
    kinds=frozenset({Kind.PURCHASE}),
    start_date=date(2026, 5, 1),
    pex_account="bank",
    fields={"account": FieldSource(source=TAG, tag="11", default="429")},
)


def words(settings: Settings, names: dict[str, str] = NAMES) -> dict[str, str]:
    return dict(summary(settings, names, Xero.kinds))


def test_purchases_alone_speak_of_nothing_else():
    assert words(PURCHASES) == {
        "Sync": "Purchases (approved only)",
        "Start Date": "1 May 2026",
        "End Date": "Date of sync",
        "PEX account": "PEX Cash",
        "Expense account": "PEX Tag: EXPENSE TYPE, else 429 General",
        "Attachments": "Every receipt, also those added later",
        "Posting date": "Settlement date",
        "Contact": "One for each merchant",
    }


def test_every_kind_names_its_accounts_and_contacts():
    told = words(
        Settings(
            kinds=frozenset({Kind.FEE, Kind.TRANSFER, Kind.REBATE, Kind.PURCHASE}),
            approved_only=False,
            pex_account="bank",
            party_mode=ONE_PARTY,
            party="p",
            receipts=False,
            fields={"account": FieldSource(value="429"), "tracking:1": FieldSource(source=TAG, tag="10")},
            by_kind={
                Kind.FEE: {"account": "429", "party": "p"},
                Kind.REBATE: {"account": "260", "party": "p"},
                Kind.TRANSFER: {"account": "checking"},
            },
            synced={"account": "11", "tracking:1": "10"},
        )
    )
    assert told["Sync"] == "Purchases, fees, transfers, rebates"
    assert told["Source Cash"] == "Checking"
    assert told["Expense account"] == told["Fee account"] == "429 General"
    assert told["Income account"] == "260 Other Revenue"
    assert told["Projects"] == "PEX Tag: PROJECTS"
    assert told["Synced to tags"] == "Expense Account, Projects"
    assert told["Attachments"] == "Off"
    assert told["Contact"] == told["Contact of fees"] == told["Contact of rebates"] == "PEX"


def test_a_page_of_mappings_names_vendor_dates_and_what_only_the_system_asks():
    names = {
        **NAMES,
        "field:party": "Vendor",
        "field:transfer:account": "Bank Account",
        "field:fee:dimension:d": "Department",
        "option:dimension:d:adm": "ADM Administration",
        "extra:vendors": "How vendors are kept",
        "extra:vendors:ledger": "In the vendor ledger",
        "extra:create": "Create vendors",
    }
    settings = Settings(
        kinds=frozenset({Kind.PURCHASE, Kind.FEE, Kind.TRANSFER}),
        posting_date=PURCHASE_DAY,
        party_mode=ONE_PARTY,
        fields={"party": FieldSource(source=TAG, tag="10", default="p")},
        by_kind={
            Kind.FEE: {"account": "429", "dimension:d": "adm"},
            Kind.TRANSFER: {"account": "checking"},
            Kind.REBATE: {"dimension:d": "adm"},  # switched off
        },
        extra={"vendors": "ledger", "create": False, "unknown": "x"},
    )
    told = words(settings, names)
    assert told["Posting date"] == "Purchase date"
    assert told["Vendor"] == "PEX Tag: PROJECTS, else PEX"
    assert told["Bank Account"] == "Checking"
    assert told["Department of fees"] == "ADM Administration"
    assert (told["How vendors are kept"], told["Create vendors"]) == ("In the vendor ledger", "Off")
    assert not {"Contact", "Contact of fees", "Source Cash", "Department of rebates", "unknown"} & set(told)
    assert words(Settings(kinds=PURCHASES.kinds, party_mode=ONE_PARTY), names)["Vendor"] == "None"
    assert words(PURCHASES, names)["Vendor"] == "One for each merchant"


def test_settings_saved_before_names_were_kept_by_id_are_read_too():
    old = {"pex_account": "PEX Cash", "account_tag": "EXPENSE TYPE", "account_default": "429 General"}
    assert words(PURCHASES, old)["PEX account"] == "PEX Cash"
    assert words(PURCHASES, old)["Expense account"].startswith("PEX Tag: EXPENSE TYPE")
    assert words(PURCHASES, {})["PEX account"] == "Chosen"
