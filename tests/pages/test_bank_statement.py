"""The page of the monthly statement, and its two files."""

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils.html import strip_tags

from pexsync import clock
from pexsync.accounts.models import Membership
from syncjobs import bank_statement
from syncjobs.models import Export, MirrorRead, PexTransaction
from tests.pages.conftest import sign_in


@pytest.fixture
def read(acme):
    """PEX was read for the days around this month."""
    today, now = clock.today(), clock.now()

    def until(world=acme, ended: bool = True) -> MirrorRead:
        return MirrorRead.objects.create(
            business=world.business,
            first=today - timedelta(days=60),
            last=today,
            began_at=now,
            ended_at=now if ended else None,
        )

    return until


def text_of(answer) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def lines_of(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_the_month_says_what_it_holds_and_as_of_when(browser, a_row, read):
    a_row("Staples")
    a_row("Shell", amount=Decimal("-61.18"))
    read()
    page = text_of(browser.get("/xero/statement"))
    assert "2 transactions settled, $48.68 in all." in page
    assert "PEX was read today" in page
    assert "Purchases2$48.68" in page.replace(" ", "")
    assert "Match that line to the entry" in page


def test_every_settled_row_is_in_both_files_also_what_was_never_sent(browser, a_row, read):
    a_row("Staples")
    a_row("Left out", state="closed", cause="left_out")
    Export.objects.filter(state="closed").delete()
    read()
    sheet = browser.get("/xero/statement.csv")
    assert {line["Payee"] for line in lines_of(sheet)} == {"Staples", "Left out"}
    assert sheet.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f'filename="pex-statement-{clock.today():%Y-%m}.csv"' in sheet.headers["Content-Disposition"]
    file = browser.get("/xero/statement.ofx")
    assert file.headers["Content-Type"] == "application/x-ofx"
    assert file.content.count(b"<FITID>PEXT") == 2


def test_pending_declined_and_unsettled_rows_are_not_in_it(browser, a_row, read):
    for facts in ({"pending": True}, {"declined": True}, {"settled_on": None}, {"facts": {"missing": "surely"}}):
        row = a_row(str(facts))
        PexTransaction.objects.filter(pex_id=row.pex_id).update(**facts)
    a_row("Staples")
    read()
    assert [line["Payee"] for line in lines_of(browser.get("/xero/statement.csv"))] == ["Staples"]


def test_rows_of_another_month_are_in_that_one(browser, a_row, read):
    row = a_row("Staples")
    first = clock.today().replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    at = datetime(before.year, before.month, 20, 15, tzinfo=clock.EASTERN)
    PexTransaction.objects.filter(pex_id=row.pex_id).update(settled_on=at.date(), settled_at=at)
    MirrorRead.objects.create(
        business=row.business,
        first=before,
        last=clock.today(),
        began_at=clock.now(),
        ended_at=clock.now(),
    )
    assert lines_of(browser.get("/xero/statement.csv")) == []
    [line] = lines_of(browser.get(f"/xero/statement.csv?month={before:%Y-%m}"))
    assert line["Date"] == at.date().isoformat()


def test_what_moves_between_the_account_and_its_cards_is_named_and_left_out(browser, a_row, read):
    row = a_row("Card funding")
    PexTransaction.objects.filter(pex_id=row.pex_id).update(kind="", category="CardLoad")
    read()
    assert "CardLoad (1)" in text_of(browser.get("/xero/statement"))
    assert lines_of(browser.get("/xero/statement.csv")) == []


@pytest.mark.parametrize("ended", [True, False])
def test_half_a_month_is_no_statement(browser, acme, a_row, read, ended):
    a_row("Staples")
    if ended:  # of some days of it only
        today = clock.today()
        MirrorRead.objects.create(
            business=acme.business,
            first=today.replace(day=2),
            last=today,
            began_at=clock.now(),
            ended_at=clock.now(),
        )
    else:
        read(ended=False)
    page = text_of(browser.get("/xero/statement"))
    assert "PEX was not read for the whole of this month yet." in page
    assert "DOWNLOAD" not in page
    for name in ("csv", "ofx"):
        answer = browser.get(f"/xero/statement.{name}")
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize("asked", ["2026-13", "x", "1999-01", "2126-01", "<script>"])
@pytest.mark.parametrize("place", ["statement", "statement.csv", "statement.ofx"])
def test_a_month_that_is_none_gets_a_sentence(browser, read, asked, place):
    read()
    answer = browser.get(f"/xero/{place}", {"month": asked})
    assert answer.status_code == 422
    assert "Choose a month of the last twelve" in answer.content.decode()


def test_a_balance_is_named_only_where_pex_told_one(browser, acme, a_row, read):
    a_row()
    read()
    assert "names the balance" not in text_of(browser.get("/xero/statement"))
    acme.business.glance = {"ledger_now": "9120.44", "number": "8812300455"}
    acme.business.glance_at = clock.now()
    acme.business.save()
    assert "names the balance PEX told: $9,120.44" in text_of(browser.get("/xero/statement"))
    file = browser.get("/xero/statement.ofx").content.decode()
    assert "<BALAMT>9120.44</BALAMT>" in file
    assert "<ACCTID>8812300455</ACCTID>" in file


def test_nothing_in_the_sheet_runs(browser, a_row, read):
    a_row("=cmd()")
    read()
    assert [line["Payee"] for line in lines_of(browser.get("/xero/statement.csv"))] == ["'=cmd()"]


def test_rival_s_rows_are_not_in_it(client, acme, rival, a_row, read):
    a_row("Acme's shop")
    a_row("Rival's shop", world=rival)
    read()
    read(rival)
    browser = sign_in(client, rival.user, rival.business)
    assert [line["Payee"] for line in lines_of(browser.get("/xero/statement.csv"))] == ["Rival's shop"]


def test_without_the_permission_there_is_no_file(browser, acme, read):
    read()
    Membership.objects.update(permissions=["EditBusinessProfile"])
    assert browser.get("/xero/statement.ofx").status_code == 403


def test_the_newest_whole_read_counts(acme, read):
    read()
    month = clock.today().replace(day=1)
    newest = clock.now() + timedelta(hours=1)
    MirrorRead.objects.create(
        business=acme.business, first=clock.today(), last=clock.today(), began_at=newest, ended_at=newest
    )
    told = bank_statement.statement(acme.business, month)
    assert told is not None
    assert told.read_at < newest


def test_manage_leads_to_it(browser):
    assert 'href="/xero/statement"' in browser.get("/xero/sync").content.decode()
