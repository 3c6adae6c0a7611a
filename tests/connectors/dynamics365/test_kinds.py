"""Every kind as it stands in the journal and after posting: direction, accounts, tax, dimensions."""

from datetime import date
from decimal import Decimal

import pytest

from connectors.records import Fate, Kind, Line, Party, Posted, Refused
from connectors.settings import Settings
from sandbox.dynamics365 import posting
from tests import make
from tests.connectors.dynamics365.entries import DAY, entry, fate, post

pytestmark = pytest.mark.database

WAYS = [
    (Kind.PURCHASE, "41.87"),
    (Kind.PURCHASE, "-41.87"),
    (Kind.FEE, "3.00"),
    (Kind.FEE, "-3.00"),
    (Kind.TRANSFER, "-500.00"),
    (Kind.TRANSFER, "120.50"),
    (Kind.BILL_PAYMENT, "-250.00"),
    (Kind.BILL_PAYMENT, "250.00"),
    (Kind.REBATE, "-12.34"),
    (Kind.REBATE, "12.34"),
]


@pytest.fixture
def checking(acme):
    return acme.company.add_bank_account("CHECKING", "Business Checking")


@pytest.fixture
def rebates(acme):
    return acme.company.add_account("40900", "Rebates", "Income")


@pytest.fixture
def made(acme, checking, rebates):
    accounts = {Kind.TRANSFER: f"bank:{checking.id}", Kind.BILL_PAYMENT: f"bank:{checking.id}"}
    accounts |= {Kind.PURCHASE: acme.fuel.id, Kind.FEE: acme.office.id, Kind.REBATE: rebates.id}

    def make(number, kind, amount, *dimensions):
        line = Line(Decimal(amount), accounts[kind], f"PEX {kind.label}", dimensions)
        party = Party(name="Shell") if kind is Kind.PURCHASE else Party()
        return entry(acme, number, amount, kind=kind, party=party, lines=(line,))

    return make


def on_pex(acme):
    """What all documents together credit the PEX account by."""
    return -sum(document.on("10950") for document in acme.company.documents())


@pytest.mark.parametrize(("kind", "amount"), WAYS)
def test_each_kind_stands_by_its_sign_before_and_after_posting(acme, dynamics, another, made, kind, amount):
    wanted = made(1, kind, amount)

    outcome = post(dynamics, wanted)[wanted.key]

    assert isinstance(outcome, Posted)
    [document] = acme.company.documents()
    assert (document.balanced, on_pex(acme)) == (True, Decimal(amount))
    for state in ("journal", "posted"):
        [record] = another().books(DAY, DAY)
        assert (record.id, record.amount, record.state) == (wanted.key, Decimal(amount), state)
        assert fate(another(), wanted) is Fate.LIVE
        if state == "journal":
            posting.post_now(acme.company, acme.journal)
    assert on_pex(acme) == Decimal(amount)


def test_the_other_side_is_the_account_of_the_kind(acme, dynamics, made):
    post(dynamics, *[made(number, kind, amount) for number, (kind, amount) in enumerate(WAYS, 1)])

    others = [line for line in acme.company.lines() if line.account != "10950"]
    assert [(line.account_type, line.account, line.amount) for line in others] == [
        ("G/L Account", "61200", Decimal("41.87")),
        ("G/L Account", "61200", Decimal("-41.87")),
        ("G/L Account", "61300", Decimal("3.00")),
        ("G/L Account", "61300", Decimal("-3.00")),
        ("Bank Account", "CHECKING", Decimal("-500.00")),
        ("Bank Account", "CHECKING", Decimal("120.50")),
        ("Bank Account", "CHECKING", Decimal("-250.00")),
        ("Bank Account", "CHECKING", Decimal("250.00")),
        ("G/L Account", "40900", Decimal("-12.34")),
        ("G/L Account", "40900", Decimal("12.34")),
    ]


def test_all_kinds_of_one_batch_add_up_to_what_pex_says(acme, dynamics, another, made):
    wanted = [made(number, kind, amount) for number, (kind, amount) in enumerate(WAYS, 1)]

    post(dynamics, *wanted)
    posting.post_now(acme.company, acme.journal)

    total = sum(one.amount for one in wanted)
    assert on_pex(acme) == total
    assert sum(record.amount for record in another().books(date(2026, 3, 1), date(2026, 3, 31))) == total


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_takes_dimensions(acme, dynamics, made, kind):
    department = acme.company.add_dimension("DEPARTMENT", [("ADM", "Administration")])

    post(dynamics, made(1, kind, "5.00", (f"dimension:{department.id}", department.values["ADM"].id)))

    assert [line.dimensions for line in acme.company.lines()] == [{"DEPARTMENT": "ADM"}, {}]


def test_tax_stands_on_the_share_it_was_chosen_for(acme, dynamics, made):
    acme.company.add_tax_group("FURNITURE", "Taxable", "8.25")
    wanted = made(1, Kind.PURCHASE, "108.25", ("tax", "FURNITURE"))

    post(dynamics, wanted)

    assert [(line.tax_code, line.amount) for line in acme.company.lines()] == [
        ("FURNITURE", Decimal("108.25")),
        ("", Decimal("-108.25")),
    ]


def test_a_bank_account_in_another_currency_is_refused_in_the_kinds_own_words(acme, dynamics, made, checking):
    checking.currency = "EUR"

    refused = post(dynamics, made(1, Kind.TRANSFER, "-500.00"))["PEXT8000001"]

    assert (type(refused), refused.field, "EUR" in refused.says) == (Refused, "transfer:account", True)


def test_a_company_with_a_card_account_owed_works_the_same(acme, dynamics, another, made):
    owed = acme.company.add_account("20950", "PEX Card Payable", "Liabilities")
    dynamics.connection.settings = Settings(pex_account=owed.id).stored()
    wanted = entry(acme, account=owed.id)

    post(dynamics, wanted)

    assert [line.account for line in acme.company.lines()] == ["61200", "20950"]
    assert fate(another(), wanted) is Fate.LIVE


# --- through the engine


def test_a_sync_enters_every_kind_once_and_the_next_one_nothing(sandbox, settings, transactional_db):
    make.point_at(settings, sandbox)
    world = make.dynamics(sandbox)
    project, tag = world.all_kinds(tracking=["Project"]).tracking["Project"]
    value = next(iter(project.values.values()))
    world.purchase("10.00", tags={world.expense_tag.tag_id: "429", tag.tag_id: value.id})
    for category, amount in (
        ("BusinessAccountFee", "-3.00"),
        ("BusinessFunding", "500.00"),
        ("BusinessRebate", "2.50"),
    ):
        world.pex.add_business_row(category, amount, "By PEX")

    first = world.sync()
    calls = len(sandbox.calls.matching("bc-api"))
    second = world.sync()

    assert (first.status, first.rows_posted, second.rows_posted) == ("success", 4, 0)
    sides = {line.account: (line.amount, line.dimensions) for line in world.books.lines() if line.account != "10950"}
    assert sides == {
        "429": (Decimal("10.00"), {"PROJECT": value.code}),
        "404": (Decimal("3.00"), {}),
        "CHECKING": (Decimal("-500.00"), {}),
        "260": (Decimal("-2.50"), {}),
    }
    assert len(world.books.documents()) == 4
    assert calls <= 15
    assert len(sandbox.calls.matching("bc-api")) - calls <= 8
