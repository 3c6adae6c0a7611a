import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest

from connectors.dynamics365 import mapping
from connectors.dynamics365.mapping import Chart, Mark, PartyNamed
from connectors.errors import RecordRejected
from connectors.http import to_json
from connectors.records import Entry, Fate, Kind, Line, Party, Refused, Sent

GOLDEN = Path(__file__).parent / "golden"
CARD, FUEL, OFFICE, INCOME, FEES = (f"11111111-aaaa-4aaa-8aaa-00000000000{number}" for number in range(1, 6))
CHECKING = "22222222-bbbb-4bbb-8bbb-000000000001"
DEPARTMENT, ADM, SALES = (f"33333333-cccc-4ccc-8ccc-00000000000{number}" for number in range(1, 4))
KEY = "PEXT90817263"
URL = f"https://dashboard.pexcard.com/cards/77/detail?transaction=4410-{KEY}"
DAY = date(2026, 7, 3)
SHELL = PartyNamed("Shell")


def account(id: str, number: str, name: str, category: str = "Expense", **changes) -> dict:
    facts = {"id": id, "number": number, "displayName": name, "category": category.replace(" ", "_x0020_")}
    return {**facts, "accountType": "Posting", "directPosting": True, "blocked": False, **changes}


ACCOUNTS = [
    account(CARD, "10950", "PEX Card Prepaid", "Assets"),
    account(FUEL, "61200", "Fuel"),
    account(OFFICE, "61300", "Office"),
    account(INCOME, "40900", "Rebates", "Income"),
    account(FEES, "61900", "Bank Fees"),
]
BANKS = [{"id": CHECKING, "number": "CHECKING", "displayName": "Business Checking", "blocked": False}]
DIMENSIONS = [
    {
        "id": DEPARTMENT,
        "code": "DEPARTMENT",
        "displayName": "Department",
        "dimensionValues": [
            {"id": ADM, "code": "ADM", "displayName": "Administration"},
            {"id": SALES, "code": "SALES", "displayName": ""},
        ],
    }
]
TAXES = [{"id": "x", "code": "FURNITURE", "displayName": "Taxable"}]


def chart(accounts=ACCOUNTS, banks=BANKS) -> Chart:
    return mapping.chart(accounts, banks, DIMENSIONS, TAXES)


def entry(*lines: Line, **changes) -> Entry:
    lines = lines or (Line(Decimal("41.87"), FUEL, "Fuel, card 1234"),)
    facts = {
        "key": KEY,
        "kind": Kind.PURCHASE,
        "amount": sum((line.amount for line in lines), Decimal()),
        "date": DAY,
        "account": CARD,
        "party": Party(name="Shell"),
        "lines": lines,
        "memo": "SHELL 4711",
        "url": URL,
    }
    return Entry(**(facts | changes))


def golden(name: str) -> object:
    """Members in their order: the server takes them one after the other."""
    return json.loads((GOLDEN / f"{name}.json").read_text(), parse_float=Decimal, object_pairs_hook=list)


def wire(wanted: Entry, vendor: PartyNamed = SHELL) -> object:
    bodies = [part.sent(part.dimensions, ()) for part in mapping.parts(wanted, chart(), vendor)]
    return json.loads(to_json(bodies), parse_float=Decimal, object_pairs_hook=list)


def line(amount: str = "41.87", **changes) -> dict:
    """A journal line as it is read; amount > 0 debits."""
    facts = {
        "id": f"line {amount} {sorted(changes.items())}",
        "lineNumber": 10000,
        "accountType": "G_x002F_L_x0020_Account",
        "accountId": CARD.upper(),
        "accountNumber": "10950",
        "postingDate": DAY.isoformat(),
        "documentNumber": KEY,
        "externalDocumentNumber": f"4410-{KEY}",
        "amount": Decimal(amount),
        "description": f"Shell {KEY}",
        "comment": URL,
        "balancingAccountId": mapping.NOBODY,
        "balancingAccountNumber": "",
    }
    return facts | changes


def pair(amount: str = "41.87", **changes) -> list[dict]:
    """An entry in the journal: its debit line and the one on the PEX account."""
    other = {"accountId": FUEL, "accountNumber": "61200"} | changes
    return [line(amount, **other), line(f"-{amount}".replace("--", ""), **changes)]


def posted(amount: str = "41.87", **changes) -> list[dict]:
    """The same in the ledger."""
    value = Decimal(amount)
    facts = {"entryNumber": 7, "postingDate": DAY.isoformat(), "documentNumber": KEY, "description": f"Shell {KEY}"}
    sides = ((FUEL, "61200", value), (CARD, "10950", -value))
    return [
        {
            "id": f"entry {number} {amount} {sorted(changes.items())}",
            **facts,
            "accountId": id,
            "accountNumber": number,
            "debitAmount": max(side, Decimal()),
            "creditAmount": max(-side, Decimal()),
            **changes,
        }
        for id, number, side in sides
    ]


def marks(rows) -> list[Mark]:
    kept = [row for row in rows if "debitAmount" in row or mapping.has_account(row)]
    return [Mark.of_entry(row) if "debitAmount" in row else Mark.of_line(row, "PEX CARD") for row in kept]


def fate(*rows: dict, covered: bool = True, **changes):
    facts = {"key": KEY, "amount": Decimal("41.87"), "date": DAY, "account": CARD, "url": URL}
    return mapping.found(
        Sent(**(facts | changes)), marks(rows), covered, lambda mark: f"{mark.journal}/{mark.document}"
    )


# --- entry -> lines


def test_a_purchase_debits_its_account_and_credits_pex():
    assert wire(entry()) == golden("purchase")


def test_each_split_is_a_line_with_its_dimensions_and_tax():
    lines = (
        Line(Decimal("30.00"), FUEL, "Fuel", ((f"dimension:{DEPARTMENT}", ADM), ("tax", "FURNITURE"))),
        Line(Decimal("11.87"), OFFICE, "Paper & “pens”", ((f"dimension:{DEPARTMENT.upper()}", SALES.upper()),)),
    )

    assert wire(entry(*lines)) == golden("purchase_split")


def test_a_refund_is_the_same_the_other_way():
    assert wire(entry(Line(Decimal("-15.50"), OFFICE, "Returned toner"))) == golden("refund")


def test_a_split_against_the_total_keeps_its_sign():
    lines = (Line(Decimal("-20.00"), FUEL, "Deposit back"), Line(Decimal("4.50"), OFFICE, "Car wash"))

    assert wire(entry(*lines)) == golden("refund_mixed_signs")


def test_in_the_vendor_ledger_two_more_lines_cancel_each_other():
    assert wire(entry(), PartyNamed("Shell", "V00001")) == golden("purchase_vendor_ledger")


@pytest.mark.parametrize(
    ("kind", "amount", "account_id", "name"),
    [
        (Kind.FEE, "3.00", FEES, "fee"),
        (Kind.FEE, "-3.00", FEES, "fee_reversal"),
        (Kind.TRANSFER, "-500.00", f"bank:{CHECKING}", "transfer_in"),
        (Kind.TRANSFER, "120.50", f"bank:{CHECKING}", "transfer_out"),
        (Kind.BILL_PAYMENT, "-250.00", f"bank:{CHECKING}", "bill_payment"),
        (Kind.BILL_PAYMENT, "250.00", f"bank:{CHECKING}", "bill_payment_reversal"),
        (Kind.REBATE, "-12.34", INCOME, "rebate"),
        (Kind.REBATE, "12.34", INCOME, "rebate_reversal"),
    ],
)
def test_every_kind_goes_by_its_sign(kind, amount, account_id, name):
    wanted = entry(
        Line(Decimal(amount), account_id, f"PEX {kind.label}"), kind=kind, party=Party(), memo="PEX card account"
    )

    assert wire(wanted, PartyNamed()) == golden(name)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_every_golden_entry_adds_up_to_nought(name):
    assert sum(dict(body)["amount"] for body in golden(name)) == 0


def test_amounts_have_two_places_on_the_wire():
    bodies = [part.body for part in mapping.parts(entry(Line(Decimal("5"), FUEL, "x")), chart(), PartyNamed())]

    assert b'"amount":5.00,' in to_json(bodies)
    assert b'"amount":-5.00,' in to_json(bodies)


def test_the_key_always_ends_the_description_whole():
    words = mapping.description("Bob’s " * 12, "A very long order of things " * 9, KEY)

    assert len(words) <= 100
    assert words.endswith(f" {KEY}")
    assert mapping.key_in(words) == KEY


@pytest.mark.parametrize(
    ("vendor", "words", "description"),
    [
        ("Staples", "Paper", f"Staples · Paper {KEY}"),
        ("Staples", "STAPLES", f"Staples {KEY}"),
        ("", "Monthly  fee\n", f"Monthly fee {KEY}"),
        ("", "", KEY),
    ],
)
def test_the_description_says_who_and_what_once(vendor, words, description):
    assert mapping.description(vendor, words, KEY) == description


def test_shares_of_nought_are_left_out():
    lines = (Line(Decimal("5.00"), FUEL, "Fuel"), Line(Decimal("0.00"), OFFICE, "Nothing"))

    assert len(mapping.parts(entry(*lines), chart(), PartyNamed())) == 2


@pytest.mark.parametrize(
    ("shares", "vendor", "fits"), [(98, "", True), (99, "", False), (96, "V1", True), (97, "V1", False)]
)
def test_an_entry_of_more_lines_than_one_call_takes_is_refused(shares, vendor, fits):
    wanted = entry(*(Line(Decimal("1.00"), FUEL, "Fuel") for _ in range(shares)))

    if fits:
        assert len(mapping.parts(wanted, chart(), PartyNamed("Shell", vendor))) <= 100
    else:
        with pytest.raises(RecordRejected, match="shares"):
            mapping.parts(wanted, chart(), PartyNamed("Shell", vendor))


@pytest.mark.parametrize(
    ("changes", "cause", "field"),
    [
        ({"amount": Decimal("0"), "lines": ()}, "nothing", ""),
        ({"amount": Decimal("41.88")}, "split", ""),
        ({"lines": (Line(Decimal("41.866"), FUEL, "x"), Line(Decimal("0.004"), FUEL, "x"))}, "split", ""),
        ({"account": OFFICE.replace("3", "9")}, "account", "pex_account"),
        ({"lines": (Line(Decimal("41.87"), "gone", "x"),)}, "account", "account"),
        ({"lines": (Line(Decimal("41.87"), FUEL, "x", (("tax", "GONE"),)),)}, "tax", "tax"),
        (
            {"lines": (Line(Decimal("41.87"), FUEL, "x", (("dimension:gone", ADM),)),)},
            "dimension",
            "dimension:gone",
        ),
        (
            {"lines": (Line(Decimal("41.87"), FUEL, "x", ((f"dimension:{DEPARTMENT}", "gone"),)),)},
            "dimension",
            f"dimension:{DEPARTMENT}",
        ),
        ({"key": "PEXT" + "9" * 17}, "mistake", ""),
        ({"url": f"https://pex/?transaction={'1' * 30}-{KEY}"}, "mistake", ""),
    ],
)
def test_what_cannot_be_booked_is_said_before_anything_is_sent(changes, cause, field):
    with pytest.raises(RecordRejected) as refused:
        mapping.parts(entry(**changes), chart(), PartyNamed())

    assert (refused.value.cause, refused.value.field) == (cause, field)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"blocked": True}, "61200 Fuel is blocked"),
        ({"directPosting": False}, "61200 Fuel takes no direct posting"),
        ({"accountType": "Begin_x002D_Total"}, "61200 Fuel is a heading or total"),
    ],
)
def test_an_account_nothing_can_be_posted_on_is_named(changes, says):
    rows = [row | changes if row["id"] == FUEL else row for row in ACCOUNTS]

    with pytest.raises(RecordRejected, match=says):
        mapping.parts(entry(), chart(rows), PartyNamed())


def test_a_bank_account_in_another_currency_is_refused():
    wanted = entry(Line(Decimal("5.00"), f"bank:{CHECKING}", "x"), kind=Kind.TRANSFER)

    with pytest.raises(RecordRejected, match="kept in EUR"):
        mapping.parts(wanted, chart(banks=[BANKS[0] | {"currencyCode": "EUR"}]), PartyNamed())


def test_an_address_that_names_no_business_leaves_the_key_alone():
    assert mapping.external_number(entry(url="")) == KEY


# --- refusals


@pytest.mark.parametrize(
    ("place", "code", "reason"),
    [
        (0, "Internal_InvalidTableRelation", "account:account"),
        (0, "Application_FieldValidationException", "account:account"),
        (0, "Application_DialogException", f"dimension:dimension:{DEPARTMENT}"),
        (0, "Application_StringExceededLength", "mistake"),
        (0, "Unknown", "refused"),
        (1, "Application_DialogException", "vendor:party"),
        (3, "Internal_InvalidTableRelation", "account:pex_account"),
        (3, "Application_DialogException", "refused"),
    ],
)
def test_a_refusal_names_what_mends_it_by_its_code_and_line(place, code, reason):
    lines = (Line(Decimal("5.00"), FUEL, "x", ((f"dimension:{DEPARTMENT}", ADM),)),)
    parts = mapping.parts(entry(*lines), chart(), PartyNamed("Shell", "V1"))

    refused = mapping.refusal(parts[place], code, "Das geht so nicht.")

    assert (refused.reason, refused.says) == (reason, "Das geht so nicht.")


def test_a_line_with_tax_does_not_say_which_of_the_two_is_unknown():
    part = mapping.parts(entry(Line(Decimal("5"), FUEL, "x", (("tax", "FURNITURE"),))), chart(), PartyNamed())[0]

    assert mapping.refusal(part, "Internal_InvalidTableRelation", "No.").reason == "refused"


def test_fields_of_other_kinds_are_called_after_them_but_the_pex_account():
    assert mapping.about(Kind.FEE, Refused("x", "account", "account")).field == "fee:account"
    assert mapping.about(Kind.FEE, Refused("x", "account", "pex_account")).field == "pex_account"


# --- what a line says it is


@pytest.mark.parametrize(
    ("changes", "key", "certain"),
    [
        ({}, KEY, True),
        ({"documentNumber": "G00012"}, KEY, True),
        ({"externalDocumentNumber": "", "documentNumber": "G00012"}, KEY, True),
        ({"externalDocumentNumber": "", "description": "Fuel"}, KEY, False),
        ({"externalDocumentNumber": "INV 7", "description": "", "documentNumber": "G00012"}, "", False),
        ({"externalDocumentNumber": "4410-PEXT90817264"}, "PEXT90817264", True),
        ({"externalDocumentNumber": "", "description": "Fuel PEXT90817264"}, "PEXT90817264", True),
        ({"externalDocumentNumber": f"4410-{KEY}-2"}, f"{KEY}-2", True),
        ({"externalDocumentNumber": "4410-PEXS12"}, "PEXS12", True),
        ({"externalDocumentNumber": "4410-PEXX0123456789A"}, "PEXX0123456789A", True),
        ({"externalDocumentNumber": "", "description": f"X{KEY}"}, KEY, False),
    ],
)
def test_the_external_number_counts_before_the_words_and_they_before_the_document_number(changes, key, certain):
    mark = Mark.of_line(line(**changes), "PEX CARD")

    assert (mark.key, mark.certain) == (key, certain)


def test_a_line_knows_both_its_sides():
    mark = Mark.of_line(
        line(
            "5.00",
            balanceAccountType="Bank_x0020_Account",
            balancingAccountId=CHECKING,
            balancingAccountNumber="CHECKING",
        ),
        "GENERAL",
    )

    assert mark.sides == {CARD: Decimal("5.00"), CHECKING: Decimal("-5.00")}


def test_accounts_without_an_id_here_are_told_apart_by_number():
    mark = Mark.of_line(line(accountType="Vendor", accountId=mapping.NOBODY, accountNumber="V1"), "PEX CARD")

    assert list(mark.sides) == ["Vendor V1"]


# --- the fate of a row


def test_an_entry_in_the_journal_is_live_and_a_draft():
    found = fate(*pair())

    assert (found.fate, found.record_id, found.draft, found.link) == (Fate.LIVE, KEY, True, f"PEX CARD/{KEY}")


def test_a_posted_entry_is_live_and_no_draft():
    found = fate(*posted())

    assert (found.fate, found.record_id, found.draft, found.says) == (Fate.LIVE, KEY, False, "")


def test_a_renumbered_and_posted_entry_keeps_the_key_as_its_name():
    assert fate(*posted(documentNumber="G00012")).record_id == KEY


def test_nothing_is_absent_only_when_everything_was_searched():
    assert fate().fate is Fate.ABSENT
    assert fate(covered=False).fate is Fate.UNSEEN


def test_what_was_not_searched_to_the_end_is_never_judged():
    assert fate(*pair(), covered=False).fate is Fate.UNSEEN


@pytest.mark.parametrize(
    "rows", [[*pair(), *posted()], [*pair(), *pair(documentNumber="G1")], [*posted(), *posted(entryNumber=9)]]
)
def test_twice_is_doubled(rows):
    found = fate(*rows)

    assert (found.fate, "2 times" in found.says) == (Fate.DOUBLED, True)


def test_three_times_is_doubled_too():
    found = fate(*pair(), *posted(), *posted(entryNumber=9))

    assert (found.fate, "3 times" in found.says) == (Fate.DOUBLED, True)


def test_half_as_much_again_is_not_twice():
    assert fate(*posted(), *posted("20.00", entryNumber=9)).fate is Fate.DOUBTFUL


def test_a_reversed_entry_is_dead():
    assert fate(*posted(), *posted("-41.87")).fate is Fate.DEAD


def test_a_counter_entry_nobody_posted_yet_needs_a_person():
    assert fate(*posted(), *pair("-41.87")).fate is Fate.DOUBTFUL
    assert fate(*pair(), *pair("-41.87")).fate is Fate.DOUBTFUL


def test_a_reversed_one_beside_a_live_one_counts_once():
    assert fate(*posted(), *posted("-41.87"), *posted(entryNumber=9)).fate is Fate.LIVE


def test_what_is_cancelled_on_the_pex_account_only_needs_a_person():
    corrected = [
        row | {"accountId": FUEL, "accountNumber": "1"} if row["accountId"] == FUEL else row for row in posted()
    ]
    moved = [row | {"accountId": OFFICE} if row["accountId"] == FUEL else row for row in posted("-41.87")]

    found = fate(*corrected, *moved)

    assert found.fate is Fate.DOUBTFUL
    assert "0.00 instead of 41.87" in found.says


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (pair("40.00"), "40.00 instead of 41.87"),
        (pair(postingDate="2026-07-04"), "dated 2026-07-04 instead of 2026-07-03"),
        (pair()[1:], "do not balance"),
        (pair()[:1], "none of them on the PEX account"),
        ([pair()[0], pair(documentNumber="G1")[1]], "do not balance"),
        ([pair()[0], pair(postingDate="2026-07-04")[1]], "do not balance"),
        (pair(balancingAccountId=OFFICE, balancingAccountNumber="61300"), "balancing account 61300"),
        (pair(comment="Dimensions not set yet: DEPARTMENT=ADM"), "DEPARTMENT=ADM. Set them"),
        ([row | {"accountId": OFFICE} for row in pair()], "none of them on the PEX account"),
        (pair("-41.87"), "-41.87 instead of 41.87"),
    ],
)
def test_an_entry_that_was_changed_is_doubtful_and_says_what_differs(rows, says):
    found = fate(*rows)

    assert found.fate is Fate.DOUBTFUL
    assert says in found.says
    assert found.record_id == KEY


def test_an_account_split_by_a_person_under_the_same_number_is_still_the_entry():
    debit, credit = pair()
    halves = [debit | {"amount": Decimal("20.00")}, debit | {"id": "other", "amount": Decimal("21.87")}]
    halves[1] |= {"externalDocumentNumber": "", "description": "Half of it"}

    assert fate(*halves, credit).fate is Fate.LIVE


def test_hidden_vendor_lines_do_not_matter():
    assert fate(*pair(), line("41.87", accountType="Vendor", accountId=mapping.NOBODY)).fate is Fate.DOUBTFUL
    through = [line(amount, accountType="Vendor", accountId=mapping.NOBODY) for amount in ("41.87", "-41.87")]
    assert fate(*pair(), *through).fate is Fate.LIVE


def test_a_line_that_names_another_row_is_not_this_ones():
    assert fate(*pair(externalDocumentNumber="4410-PEXT1")).fate is Fate.ABSENT


def test_another_business_of_pex_has_its_own():
    assert fate(*pair(externalDocumentNumber=f"9999-{KEY}")).fate is Fate.ABSENT


def test_the_empty_line_posting_leaves_behind_is_nothing():
    left = line("0", accountId=mapping.NOBODY, accountNumber="", externalDocumentNumber="", description="")

    assert fate(left).fate is Fate.ABSENT


def test_a_line_typed_with_our_next_number_on_other_accounts_is_nothing():
    typed = [row | {"accountId": OFFICE} for row in pair(externalDocumentNumber="", description="Rent")]

    assert fate(*typed).fate is Fate.ABSENT


def test_a_line_typed_with_our_next_number_on_the_pex_account_needs_a_person():
    typed = pair("99.00", externalDocumentNumber="", description="Top up")

    assert fate(*typed).fate is Fate.DOUBTFUL


def test_an_entry_that_kept_only_its_document_number_is_still_ours():
    assert fate(*pair(externalDocumentNumber="", description="Fuel")).fate is Fate.LIVE


@pytest.mark.parametrize("earlier", [posted(), pair()])
def test_an_entry_of_an_earlier_generation_counts_too(earlier):
    found = fate(*earlier, key=f"{KEY}-2", earlier=(KEY,), url=f"{URL}-2")

    assert (found.fate, found.record_id) == (Fate.LIVE, KEY)


def test_a_reversed_earlier_generation_is_no_news():
    gone = [*posted(), *posted("-41.87")]

    assert fate(*gone, key=f"{KEY}-2", earlier=(KEY,)).fate is Fate.ABSENT
    again = pair(externalDocumentNumber=f"4410-{KEY}-2", documentNumber=f"{KEY}-2")
    found = fate(*gone, *again, key=f"{KEY}-2", earlier=(KEY,))
    assert (found.fate, found.record_id) == (Fate.LIVE, f"{KEY}-2")


def test_both_generations_standing_are_doubled():
    again = pair(externalDocumentNumber=f"4410-{KEY}-2", documentNumber=f"{KEY}-2")

    assert fate(*posted(), *again, key=f"{KEY}-2", earlier=(KEY,)).fate is Fate.DOUBLED


def test_a_record_a_person_named_by_its_document_number():
    by_hand = posted(documentNumber="JE-7", description="Fuel card July")

    found = fate(*by_hand, record_id="je-7")

    assert (found.fate, found.record_id) == (Fate.LIVE, "je-7")


def test_a_document_that_is_another_rows_cannot_be_named():
    assert fate(*posted(documentNumber="JE-7", description="Fuel PEXT1"), record_id="JE-7").fate is Fate.ABSENT


def test_an_entry_of_ours_may_be_named_by_the_number_it_has_there():
    found = fate(*pair(documentNumber="R00001"), record_id="R00001")

    assert (found.fate, found.record_id) == (Fate.LIVE, "R00001")


def test_one_line_of_a_document_of_many_may_be_named():
    rows = [line("-41.87", lineNumber=20000), line("-5.00", lineNumber=30000)]
    rows = [row | {"documentNumber": "JE-7", "externalDocumentNumber": "", "description": "Cards"} for row in rows]

    assert fate(*rows, record_id="JE-7 line 20000").fate is Fate.LIVE
    assert fate(*rows, record_id="JE-7").fate is Fate.DOUBTFUL
    assert fate(*rows, record_id="JE-7 of 2026-07-03 line 20000").fate is Fate.LIVE
    assert fate(*rows, record_id="JE-7 of 2026-07-04 line 20000").fate is Fate.ABSENT


# --- what to look for


def test_each_family_of_keys_is_searched_by_what_it_begins_with():
    questions = mapping.beginnings(["PEXT1001", "PEXT1002", "PEXT1002-2", "PEXS77"])

    assert [(each.keys, each.document) for each in questions] == [
        (("PEXS77",), "startswith(documentNumber,'PEXS77')"),
        (("PEXT1001", "PEXT1002", "PEXT1002-2"), "startswith(documentNumber,'PEXT100')"),
    ]
    assert questions[1].of_lines == [
        "contains(externalDocumentNumber,'PEXT100')",
        "startswith(documentNumber,'PEXT100')",
        "contains(description,'PEXT100')",
    ]
    assert questions[1].of_entries == questions[1].of_lines[1:]


def test_exact_searches_name_forty_values_of_one_field_each():
    questions = mapping.exactly([f"PEXT{number}" for number in range(1, 91)])

    assert [len(each.keys) for each in questions] == [40, 40, 10]
    assert questions[2].document.count(" or ") == 9


def test_documents_are_searched_by_their_number_alone():
    [question] = mapping.documents(["O'NEIL-7"])

    assert question.of_lines == question.of_entries == ["documentNumber eq 'O''NEIL-7'"]


# --- books


def listed(*rows):
    return mapping.book_records(CARD.upper(), marks(rows), lambda mark: f"{mark.journal}/{mark.document}")


def test_entries_of_ours_are_listed_once_by_their_key():
    [record] = listed(*pair())

    assert (record.id, record.amount, record.date, record.state, record.live) == (
        KEY,
        Decimal("41.87"),
        DAY,
        "journal",
        True,
    )
    assert (record.reference, record.party, record.texts[0]) == (KEY, "Shell", f"4410-{KEY}")


def test_others_are_listed_by_document_with_the_day_where_the_number_is_used_twice():
    first = posted(documentNumber="JE-7", description="July")
    second = posted(documentNumber="JE-7", description="August", postingDate="2026-08-03")
    third = posted("-9.00", documentNumber="JE-8", description="Top up")

    assert [(record.id, record.amount) for record in listed(*first, *second, *third)] == [
        ("JE-7 of 2026-07-03", Decimal("41.87")),
        ("JE-7 of 2026-08-03", Decimal("41.87")),
        ("JE-8", Decimal("-9.00")),
    ]


def test_what_was_reversed_is_listed_as_dead():
    rows = [row | {"documentNumber": "JE-7", "description": ""} for row in [*posted(), *posted("-41.87")]]

    assert [(record.id, record.live, record.amount) for record in listed(*rows)] == [("JE-7", False, Decimal(0))]


def test_each_purchase_of_a_months_document_is_a_record_of_its_own():
    rows = [line(f"-{number}.00", lineNumber=number * 10000, id=f"{number}") for number in (1, 2, 3)]
    rows = [row | {"documentNumber": "JE-7", "externalDocumentNumber": "", "description": "Cards"} for row in rows]

    assert [(record.id, record.amount) for record in listed(*rows)] == [
        ("JE-7 line 10000", Decimal("1.00")),
        ("JE-7 line 20000", Decimal("2.00")),
        ("JE-7 line 30000", Decimal("3.00")),
    ]


def test_a_line_whose_balancing_account_is_the_pex_account_is_listed():
    top_up = line(
        "-500.00",
        accountId=CHECKING,
        balancingAccountId=CARD,
        balancingAccountNumber="10950",
        documentNumber="JE-9",
        externalDocumentNumber="",
        description="Top up",
    )

    assert [(record.id, record.amount) for record in listed(top_up)] == [("JE-9", Decimal("-500.00"))]


# --- settings


def test_accounts_are_listed_expenses_first_and_unusable_ones_not_active():
    rows = [
        *ACCOUNTS,
        account("b", "61100", "Blocked", blocked=True),
        account("h", "60000", "All", accountType="Heading"),
    ]

    listed = mapping.account_options(rows)

    assert [(option.code, option.active) for option in listed] == [
        ("60000", False),
        ("61100", False),
        ("61200", True),
        ("61300", True),
        ("61900", True),
        ("10950", True),
        ("40900", True),
    ]
    assert (listed[2].id, listed[2].name, listed[2].group, listed[2].type) == (FUEL, "Fuel", "Expense", "Expense")


def test_accounts_that_may_stand_for_pex_come_assets_first_and_blank_ones_before_the_rest():
    rows = [*ACCOUNTS, account("l", "20950", "PEX Payable", "Liabilities"), account("n", "99999", "Odd", " ")]

    assert [(option.code, option.group, option.type) for option in mapping.pex_options(rows)][:4] == [
        ("10950", "Assets", "Assets"),
        ("20950", "Liabilities", "Liabilities"),
        ("99999", "Without a category", ""),
        ("40900", "Income", "Income"),
    ]


def test_money_comes_from_bank_accounts_and_assets_that_can_be_posted_on():
    banks = [*BANKS, {"id": "e", "number": "EURO", "displayName": "", "blocked": True, "currencyCode": "EUR"}]
    rows = [*ACCOUNTS, account("c", "10100", "Cash", "Assets", blocked=True)]

    assert [
        (option.id, option.label, option.group, option.type, option.active)
        for option in mapping.bank_options(banks, rows)
    ] == [
        (f"bank:{CHECKING}", "CHECKING Business Checking", "Bank accounts", "", True),
        ("bank:e", "EURO", "Bank accounts", "EUR", False),
        (CARD, "10950 PEX Card Prepaid", "Assets", "", True),
    ]


def test_each_dimension_is_a_field_of_every_kind_and_twins_are_told_apart():
    rows = [*DIMENSIONS, {"id": "x", "code": "DEPT2", "displayName": "Department"}, {"id": "y", "code": "AREA"}]

    assert [(field.key, field.label) for field in mapping.dimension_fields(rows)] == [
        (f"dimension:{DEPARTMENT}", "DEPARTMENT"),
        ("dimension:x", "DEPT2"),
        ("dimension:y", "AREA"),
    ]
    [field] = mapping.dimension_fields(DIMENSIONS)
    assert (field.label, field.kinds, field.required) == ("Department", tuple(Kind), False)


def test_a_value_without_a_name_is_shown_by_its_code():
    assert [
        (option.id, option.code, option.name)
        for option in mapping.dimension_options(DIMENSIONS, f"dimension:{DEPARTMENT.upper()}")
    ] == [(ADM, "ADM", "Administration"), (SALES, "SALES", "SALES")]
    assert mapping.dimension_options(DIMENSIONS, "dimension:gone") == []


def test_vendors_blocked_for_everything_are_not_active():
    rows = [
        {"id": "1", "number": "V2", "displayName": "Shell", "blocked": "_x0020_"},
        {"id": "2", "number": "V1", "displayName": "Esso", "blocked": "All"},
        {"id": "3", "number": "V3", "displayName": "Aral", "blocked": "Payment"},
    ]

    assert [(option.name, option.code, option.active) for option in mapping.vendor_options(rows)] == [
        ("Aral", "V3", True),
        ("Esso", "V1", False),
        ("Shell", "V2", True),
    ]


def test_tax_groups_are_known_by_their_code():
    assert [(option.id, option.name) for option in mapping.tax_options([*TAXES, {"code": ""}])] == [
        ("FURNITURE", "Taxable")
    ]


@pytest.mark.parametrize(
    ("first", "until"), [("0001-01-01", None), ("2026-07-01", date(2026, 6, 30)), ("", None), (None, None)]
)
def test_days_before_the_first_open_one_are_closed(first, until):
    assert mapping.closed_until({"allowPostingFrom": first}) == until


@pytest.mark.parametrize(("code", "ours"), [("PEX CARD", True), ("Pex Card ", True), ("PEXCARD", False)])
def test_the_journal_is_known_by_its_code_whatever_its_letters(code, ours):
    assert mapping.is_ours({"code": code}) is ours


def test_names_of_vendors_are_compared_without_case_and_spaces_as_far_as_they_are_kept():
    assert mapping.vendor_key("  Bob’s\tDiner ") == mapping.vendor_key("BOB’S DINER")
    assert mapping.vendor_key("x" * 130) == mapping.vendor_key("X" * 100)


@pytest.mark.parametrize(
    ("received", "plain"),
    [
        ("G_x002F_L_x0020_Account", "G/L Account"),
        ("_x0020_", ""),
        ("Begin_x002D_Total", "Begin-Total"),
        ("Cost_x0020_of_x0020_Goods_x0020_Sold", "Cost of Goods Sold"),
        ("Posting", "Posting"),
    ],
)
def test_members_of_enums_are_read_decoded(received, plain):
    assert mapping.plain(received) == plain


# --- addresses

WEB = mapping.Web("https://businesscentral.dynamics.com/T/Production", "Acme & Sons")


def test_a_draft_is_seen_in_its_journal_and_what_is_posted_in_the_ledger():
    draft, entry = Mark.of_line(line(), "PEX CARD"), Mark.of_entry(posted(documentNumber="O'7")[0])

    assert unquote(WEB.of(draft)) == (
        "https://businesscentral.dynamics.com/T/Production?company=Acme & Sons&page=39&filter='Gen. Journal Line'."
        f"'Journal Batch Name' IS 'PEX CARD' AND 'Gen. Journal Line'.'Document No.' IS '{KEY}'"
    )
    assert unquote(WEB.of(entry)).endswith("&page=20&filter='G/L Entry'.'Document No.' IS 'O''7'")
    assert "company=Acme%20%26%20Sons&" in WEB.journal()


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (f"4410-{KEY}", KEY),
        (f"  {KEY.lower()} ", KEY),
        (f"Shell · Fuel {KEY}-2", f"{KEY}-2"),
        (WEB.journal(document=KEY), KEY),
        (WEB.entries("G00012"), "G00012"),
        (WEB.entries("O'7"), "O'7"),
        ("g00012", "G00012"),
        ("JE-7 of 2026-07-03", "JE-7 of 2026-07-03"),
        ("je-7 LINE 20000", "JE-7 line 20000"),
        ("", ""),
        ("I do not know where it is", ""),
        ("https://businesscentral.dynamics.com/?page=39", ""),
    ],
)
def test_a_record_is_found_in_what_people_paste(text, record):
    assert mapping.record_in(text) == record
