"""The PEX account's month as a file for the bank reconciliation: what stands in it, and that others can read it."""

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from connectors.records import Kind, Source, Transaction
from syncjobs import statement_file
from syncjobs.statement_file import Balance, Statement
from syncjobs.views import harmless

AT = datetime(2026, 10, 6, 15, 30, tzinfo=UTC)
READ = datetime(2026, 11, 2, 7, 41, 9, tzinfo=UTC)


def row(amount: str = "12.50", kind: Kind | None = Kind.PURCHASE, **facts: Any) -> Transaction:
    facts = {"pex_id": 700000001, "source": Source.TRANSACTION, "settled_at": AT, "merchant": "STAPLES 0042"} | facts
    return Transaction(kind=kind, amount=Decimal(amount), happened_at=AT, **facts)


def statement(*rows: Transaction, **facts: Any) -> Statement:
    told = {"account": "8812300455", "charge": False, "first": date(2026, 10, 1), "last": date(2026, 10, 31)}
    return Statement(read_at=READ, lines=statement_file.lines(rows), **(told | facts))


def parsed(told: Statement) -> ElementTree.Element:
    """The file read back, its header checked."""
    text = statement_file.as_ofx(told).decode("cp1252")
    header, _, body = text.partition("\r\n\r\n")
    assert dict(line.split(":", 1) for line in header.split("\r\n"))["VERSION"] == "102"
    return ElementTree.fromstring(body)


def moves(told: Statement) -> list[dict[str, str]]:
    return [{each.tag: each.text or "" for each in move} for move in parsed(told).iter("STMTTRN")]


class TestWhatStandsInIt:
    @pytest.mark.parametrize(
        ("kind", "amount", "banks", "type_"),
        [
            (Kind.PURCHASE, "12.50", "-12.50", "DEBIT"),
            (Kind.PURCHASE, "-7.00", "7.00", "CREDIT"),
            (Kind.FEE, "1.00", "-1.00", "FEE"),
            (Kind.FEE, "-1.00", "1.00", "CREDIT"),
            (Kind.TRANSFER, "-500.00", "500.00", "XFER"),
            (Kind.TRANSFER, "200.00", "-200.00", "XFER"),
            (Kind.BILL_PAYMENT, "-90.00", "90.00", "PAYMENT"),
            (Kind.REBATE, "-3.21", "3.21", "CREDIT"),
            (Kind.REBATE, "3.21", "-3.21", "DEBIT"),
        ],
    )
    def test_each_kind_with_the_banks_sign(self, kind, amount, banks, type_):
        [line] = statement_file.lines([row(amount, kind)])
        assert line.amount == Decimal(banks)
        [move] = moves(statement(row(amount, kind)))
        assert (move["TRNAMT"], move["TRNTYPE"]) == (banks, type_)

    @pytest.mark.parametrize(
        "facts",
        [
            {"pending": True},
            {"declined": True},
            {"missing": True},
            {"rejected": True},
            {"kind": None},
            {"amount": Decimal("0.00")},
        ],
        ids=lambda facts: next(iter(facts)),
    )
    def test_what_moved_nothing_is_left_out(self, facts):
        assert statement_file.lines([replace(row(), **facts)]) == []

    @pytest.mark.parametrize("facts", [{"problem": "The splits do not add up."}, {"settled_at": None}])
    def test_what_moved_money_stands_there_although_it_is_not_booked_as_it_is(self, facts):
        assert [line.amount for line in statement_file.lines([replace(row(), **facts)])] == [Decimal("-12.50")]

    def test_a_line_is_known_by_the_key_its_record_carries(self):
        paid = row("-90.00", Kind.BILL_PAYMENT, source=Source.STATEMENT_PAYMENT, merchant="", description="May")
        told = moves(statement(row(), paid))
        assert {move["FITID"] for move in told} == {"PEXT700000001", "PEXS700000001"}
        assert all(move["REFNUM"] == move["FITID"] for move in told)

    def test_the_day_is_the_eastern_one_and_the_order_that_of_settling(self):
        late = row(settled_at=datetime(2026, 10, 7, 3, 0, tzinfo=UTC), pex_id=2)
        early = row(settled_at=datetime(2026, 10, 2, 18, 0, tzinfo=UTC), pex_id=9)
        assert [line.day.day for line in statement_file.lines([late, early])] == [2, 6]

    def test_the_clean_name_pays_and_the_raw_one_is_remembered(self):
        [line] = statement_file.lines([row(merchant_clean="Staples")])
        assert (line.payee, line.memo) == ("Staples", "STAPLES 0042 PEXT700000001")

    def test_a_row_without_names_is_called_by_its_kind(self):
        [line] = statement_file.lines([row(merchant="", kind=Kind.FEE)])
        assert line.payee == "PEX fee"


class TestOfx:
    def test_it_has_what_a_bank_account_s_statement_must_have(self):
        root = parsed(statement(row()))
        assert [each.tag for each in root] == ["SIGNONMSGSRSV1", "BANKMSGSRSV1"]
        account = next(root.iter("BANKACCTFROM"))
        assert [(each.tag, each.text) for each in account] == [
            ("BANKID", "PEX"),
            ("ACCTID", "8812300455"),
            ("ACCTTYPE", "CHECKING"),
        ]
        told = next(root.iter("BANKTRANLIST"))
        assert [told.findtext(name) for name in ("DTSTART", "DTEND")] == ["20261001", "20261031"]
        assert root.findtext(".//CURDEF") == "USD"
        assert root.findtext(".//DTSERVER") == "20261102074109[0:GMT]"

    def test_a_charge_account_is_a_card(self):
        root = parsed(statement(row(), charge=True))
        assert [each.tag for each in root][1] == "CREDITCARDMSGSRSV1"
        assert root.findtext(".//CCACCTFROM/ACCTID") == "8812300455"
        assert root.find(".//CCSTMTRS/BANKTRANLIST/STMTTRN") is not None

    def test_a_balance_stands_there_only_where_pex_told_one(self):
        assert parsed(statement(row())).find(".//LEDGERBAL") is None
        told = parsed(statement(row(), balance=Balance(Decimal("-3.10"), READ)))
        assert told.findtext(".//LEDGERBAL/BALAMT") == "-3.10"
        assert told.findtext(".//LEDGERBAL/DTASOF") == "20261102074109[0:GMT]"

    @pytest.mark.parametrize(
        ("merchant", "name"),
        [
            ("Barnes & Noble <b>", "Barnes & Noble <b>"),
            ("Café Dvořák 東京", "Café Dvorák ??"),
            ("A" * 60, "A" * 32),
            ("two\nlines\x00 here", "two lines here"),
            ("</NAME><FITID>X", "</NAME><FITID>X"),
            ("＜/NAME＞＜FITID＞X ＆amp;", "</NAME><FITID>X &amp;"),
            ("㍿" * 30, "????" * 8),
        ],
    )
    def test_any_name_reads_back(self, merchant, name):
        [move] = moves(statement(row(merchant=merchant)))
        assert move["NAME"] == name
        assert move["FITID"] == "PEXT700000001"

    def test_a_month_without_a_line_is_a_statement_too(self):
        assert moves(statement()) == []

    def test_no_element_stays_open(self):
        """Readers of SGML and of XML agree on it then."""
        body = statement_file.as_ofx(statement(row(), row(pex_id=2))).decode("cp1252").partition("<OFX>")[2]
        opened = re.findall(r"<([A-Z0-9]+)>", f"<OFX>{body}")
        assert sorted(opened) == sorted(re.findall(r"</([A-Z0-9]+)>", body))


class TestCsv:
    def test_a_line_says_day_amount_and_reference(self):
        [line] = csv.DictReader(io.StringIO(statement_file.as_csv(statement(row()), harmless)))
        assert line == {
            "Date": "2026-10-06",
            "Amount": "-12.50",
            "Payee": "STAPLES 0042",
            "Description": "STAPLES 0042 PEXT700000001",
            "Reference": "PEXT700000001",
            "Kind": "purchase",
            "PEX id": "700000001",
        }

    def test_nothing_in_it_runs_as_a_formula_and_amounts_stay_numbers(self):
        [line] = csv.DictReader(io.StringIO(statement_file.as_csv(statement(row(merchant="=cmd()")), harmless)))
        assert line["Payee"] == "'=cmd()"
        assert Decimal(line["Amount"]) == Decimal("-12.50")


class TestMonths:
    def test_this_one_and_the_eleven_before(self):
        found = statement_file.months(date(2026, 3, 31))
        assert (found[0], found[2], found[3], found[-1], len(found)) == (
            date(2026, 3, 1),
            date(2026, 1, 1),
            date(2025, 12, 1),
            date(2025, 4, 1),
            12,
        )

    @pytest.mark.parametrize(
        "text", ["", "2026", "2026-13", "2026-1", "26-01", "2026-00", "٢٠٢٦-٠١", "2026-01-01", "x"]
    )
    def test_anything_else_is_no_month(self, text):
        with pytest.raises(ValueError):
            statement_file.month_of(text)

    def test_a_month_ends_on_its_last_day(self):
        assert statement_file.last_day(statement_file.month_of("2028-02")) == date(2028, 2, 29)
