from dataclasses import replace
from datetime import date, timedelta

import pytest

from connectors.records import Kind, Note
from connectors.settings import Settings
from syncjobs import judge
from syncjobs.judge import Close, Due, Gone, Hold, Rules, Wait
from syncjobs.transitions import Cause, Closed
from syncjobs.window import Window
from tests.syncjobs.test_coding import BOOK, NOON, SETTINGS, purchase

RULES = Rules(
    settings=replace(SETTINGS, approved_only=True),
    book=BOOK,
    note="Synced with Xero",
    foreign_marks=("Synced with Xero",),
    today=date(2026, 4, 1),
)


def verdict(row, rules: Rules = RULES, generation: int = 1, overruled: bool = False):
    return judge.judge(row, rules, generation=generation, overruled=overruled, url="https://pex.example")


def approved(*args, **fields):
    return purchase(*args, **({"approval": "Approved"} | fields))


def note(text: str, system: bool = True) -> Note:
    return Note(1, text, system)


def test_an_approved_tagged_purchase_is_due():
    judged = verdict(approved())
    assert isinstance(judged, Due)
    assert judged.entry.key == "PEXT7"
    assert not judged.noted


@pytest.mark.parametrize("approval", ["", "NotReviewed", "Rejected", "Ignored", "SomethingNew"])
def test_a_purchase_not_approved_waits(approval):
    judged = verdict(purchase(approval=approval))
    assert isinstance(judged, Wait)
    assert (judged.word, judged.needs_you) == ("approval", False)


def test_approval_is_read_in_any_letters():
    assert isinstance(verdict(purchase(approval="APPROVED")), Due)


def test_all_purchases_can_be_synced_without_approval():
    rules = replace(RULES, settings=replace(SETTINGS, approved_only=False))
    assert isinstance(verdict(purchase(approval="NotReviewed"), rules), Due)


def test_disputes_of_either_sign_need_no_approval():
    assert isinstance(verdict(purchase("-20.00", dispute=True)), Due)
    assert isinstance(verdict(purchase("20.00", dispute=True)), Due)


def test_refunds_are_purchases_and_do_need_it():
    assert isinstance(verdict(purchase("-20.00")), Wait)


def test_what_cannot_be_coded_needs_a_person():
    judged = verdict(approved(tags={}))
    assert isinstance(judged, Wait)
    assert (judged.word, judged.needs_you, judged.cause) == ("coding", True, "untagged:account")


def test_settings_that_do_not_fit_are_told_apart_from_the_row():
    judged = verdict(approved(), replace(RULES, settings=replace(RULES.settings, pex_account="gone")))
    assert isinstance(judged, Wait)
    assert judged.word == "settings"


def test_a_posting_date_in_a_closed_period_waits_inclusively():
    on = NOON.date()
    assert isinstance(verdict(approved(), replace(RULES, closed_until=on - timedelta(days=1))), Due)
    judged = verdict(approved(), replace(RULES, closed_until=on))
    assert isinstance(judged, Wait)
    assert "Closed to 5 Mar 2026 in Xero" in judged.says


def test_a_row_that_aged_past_a_year_never_goes():
    judged = verdict(approved(), replace(RULES, today=date(2027, 3, 6)))
    assert isinstance(judged, Wait)
    assert judged.word == "too_old"


def test_nought_is_nothing_to_book():
    judged = verdict(approved("0.00"))
    assert judged == Close(Closed.NOTHING, judged.says)


def test_a_row_without_a_readable_amount_is_not_taken_for_nought():
    judged = verdict(approved("0.00", problem="PEX gave no amount."))
    assert isinstance(judged, Wait)


def test_a_kind_switched_off_waits():
    judged = verdict(approved(), replace(RULES, settings=replace(RULES.settings, kinds=frozenset())))
    assert isinstance(judged, Wait)
    assert judged.says == "Purchases are switched off in Setup."


def test_a_charge_that_paid_a_bill_waits_unless_switched_on():
    assert isinstance(verdict(approved(bill_pay=True)), Wait)
    rules = replace(RULES, settings=replace(RULES.settings, bill_pay=True))
    assert isinstance(verdict(approved(bill_pay=True), rules), Due)


class TestNotes:
    def test_our_own_note_with_this_rows_key_asks_the_books_first(self):
        judged = verdict(approved(notes=(note("Synced with Xero · PEXT7"),)))
        assert isinstance(judged, Due)
        assert judged.noted

    def test_the_original_connectors_note_closes_the_row(self):
        judged = verdict(approved(notes=(note("Synced with Xero"),)))
        assert isinstance(judged, Close)
        assert judged.cause is Closed.SYNCED_BEFORE

    def test_a_note_typed_by_hand_holds_the_row(self):
        judged = verdict(approved(notes=(note("Synced with Xero", system=False),)))
        assert isinstance(judged, Hold)
        assert judged.cause is Cause.NOTE_BY_HAND

    def test_a_key_forged_by_hand_is_no_key(self):
        assert isinstance(verdict(approved(notes=(note("Synced with Xero · PEXT7", system=False),))), Hold)

    def test_another_rows_key_does_not_speak_for_this_row(self):
        assert not isinstance(verdict(approved(notes=(note("Synced with Xero · PEXT8"),))), Due)

    def test_a_person_who_overruled_is_not_asked_again(self):
        judged = verdict(approved(notes=(note("Synced with Xero", system=False),)), overruled=True)
        assert isinstance(judged, Due)
        assert not judged.noted

    def test_other_notes_mean_nothing(self):
        assert isinstance(verdict(approved(notes=(note("Lunch with Xero people"),))), Due)


class TestAdmission:
    WINDOW = Window(date(2026, 3, 1), date(2026, 3, 31))

    def admitted(self, row, settings: Settings = RULES.settings) -> bool:
        return judge.admitted(row, replace(RULES, settings=settings), self.WINDOW)

    def test_settled_rows_of_the_window_enter_the_ledger_approved_or_not(self):
        assert self.admitted(purchase(approval="Rejected"))

    @pytest.mark.parametrize("fields", [{"pending": True}, {"declined": True}, {"kind": None}, {"kind": Kind.FEE}])
    def test_what_is_not_settled_or_not_switched_on_never_does(self, fields):
        assert not self.admitted(purchase(**fields))

    def test_the_day_is_the_eastern_day_of_settlement(self):
        assert not self.admitted(purchase(settled_at=NOON.replace(month=4, day=2)))
        assert self.admitted(purchase(settled_at=NOON.replace(month=4, day=1, hour=3)))

    def test_a_row_of_nought_enters_to_be_counted(self):
        assert self.admitted(purchase("0.00"))

    def test_what_pex_no_longer_shows_does_not(self):
        assert not self.admitted(purchase(missing=True))


class TestPexChangesItsMind:
    def test_a_row_pex_no_longer_shows_waits_whatever_a_person_decided(self):
        judged = verdict(approved(missing=True), overruled=True)
        assert isinstance(judged, Wait)
        assert (judged.word, judged.needs_you) == ("gone", False)

    @pytest.mark.parametrize(
        "shared",
        [
            {"authorization_id": 5},
            {"authorization_id": None, "amount": "12.50", "happened_at": NOON},
        ],
    )
    def test_a_row_like_one_that_is_gone_is_held_and_waits_while_that_is_not_sure(self, shared):
        old = approved("12.50", pex_id=3, account_id=9, authorization_id=5, happened_at=NOON)
        new = approved(account_id=9, **({"amount": "13.00", "happened_at": NOON + timedelta(1)} | shared))
        for sure, kind in ((True, Hold), (False, Wait)):
            gone = Gone(3, "Staples of 5 Mar 2026 (12.50)", sure, "https://books.example/3")
            rules = replace(RULES, gone=dict.fromkeys(judge.addresses(old), gone))
            judged = verdict(new, rules)
            assert isinstance(judged, kind)
            assert "Staples of 5 Mar 2026 (12.50)" in judged.says
            assert isinstance(verdict(new, rules, overruled=True), Due)
            assert isinstance(verdict(replace(new, pex_id=3), rules), Due)
            assert isinstance(verdict(replace(new, account_id=8), rules), Due)

    def test_a_late_row_needs_a_yes(self):
        rules = replace(RULES, late=frozenset({("transaction", 7), ("transaction", 8)}))
        judged = verdict(approved(), rules)
        assert isinstance(judged, Wait)
        assert (judged.word, judged.needs_you) == ("late", True)
        assert isinstance(verdict(approved(pex_id=9), rules), Due)
        assert isinstance(verdict(approved(), rules, overruled=True), Due)

    @pytest.mark.parametrize(
        ("first_read", "read", "late"),
        [
            (timedelta(days=11), timedelta(days=4), True),
            (timedelta(days=10), timedelta(days=4), False),
            (timedelta(days=11), timedelta(days=-1), False),
            (timedelta(days=11), timedelta(days=11), False),
        ],
    )
    def test_late_is_what_a_read_after_it_settled_did_not_show(self, first_read, read, late):
        days = Window(date(2026, 3, 1), date(2026, 3, 31))
        assert judge.came_late(NOON, NOON, NOON + first_read, [(NOON + read, days)]) is late

    def test_what_no_read_had_asked_for_is_not_late(self):
        days = Window(date(2026, 3, 5), date(2026, 3, 31))
        assert not judge.came_late(NOON, NOON, NOON + timedelta(days=20), [(NOON + timedelta(days=4), days)])
