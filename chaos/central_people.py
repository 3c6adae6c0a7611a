"""What people do in Business Central: in the journal before it is posted, with what is posted, and to projects."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from chaos import central
from chaos.central import Document, Line
from chaos.companies import JSON
from chaos.plan import Act, Arrival
from chaos.stage import SPREAD, Done, Stage

EXPENSES = "453"  # what people enter purchases on
STAMPS = ("404", "10110")  # the two sides of a line of their own
HALVED = "line deleted"

Deed = Callable[[Stage, Act], Done | None]


def _fits(document: Document, arrival: Arrival) -> bool:
    """Not a payment that is reversed, since its reversal would wait for it for ever."""
    return arrival.shape != "money out"


# --- the journal ------------------------------------------------------------------------------------------------------


def post_journal(stage: Stage, act: Act) -> Done | None:
    """All of it; what was left of a document when somebody deleted a line of it goes first, or nothing is posted.

    Hits what is not finished: it is posted as it is.
    """
    found = _journal(stage)
    if found is None:
        return None
    company, books = found
    for line in _left_over(stage, books):
        stage.companies.central("delete-line", company=company, id=line.id)
    taken = {
        name
        for document in central.documents(books)
        for name in document.names
        if any(line.draft and line.comment.startswith(central.NOT_SET) for line in document.lines)
    }
    posted = stage.companies.central("post", company=company)["posted"]
    return Done(f"{posted} entries", tuple(sorted(taken)))


def _left_over(stage: Stage, books: JSON) -> Iterable[Line]:
    for document in central.documents(books):
        halved = any(HALVED in stage.bought[name].deeds for name in document.names if name in stage.bought)
        if halved and document.place != central.LEDGER:
            yield from document.lines


def renumber(stage: Stage, act: Act) -> Done | None:
    found = _journal(stage)
    if found is None:
        return None
    company, _ = found
    return Done(f"{len(stage.companies.central('renumber', company=company)['numbers'])} documents")


def edit_words(stage: Stage, act: Act) -> Done | None:
    """On the line of the PEX account or on all lines. The key goes only where PEX shows that the entry is known: a
    person who takes it from one that is looked for makes it look absent once it has another number, and is posted."""
    keeps, everywhere = act.luck * SPREAD % 1 < 0.5, act.luck < 0.5
    noted = None if keeps else _noted(stage)
    found = stage.document(
        act.luck,
        lambda document, arrival: _fits(document, arrival) and (noted is None or document.names[0] in noted),
        posted=False,
    )
    if found is None:
        return None
    company, document, number = found
    for line in document.lines if everywhere else _of_pex(stage, document):
        words = f"With Dana {line.key}" if keeps else "With Dana"
        stage.companies.central("edit-line", company=company, id=line.id, description=words)
    return Done("key kept") if keeps else Done("key removed", (number,))


def delete_line(stage: Stage, act: Act) -> Done | None:
    found = stage.document(act.luck, _fits, posted=False)
    if found is None:
        return None
    company, document, number = found
    line = document.lines[int(act.luck * SPREAD) % len(document.lines)]
    stage.companies.central("delete-line", company=company, id=line.id)
    return Done(f"{line.kind} {line.account}", (number,))


def type_below(stage: Stage, act: Act) -> Done | None:
    """A line of their own, balanced in itself: it gets the number after ours."""
    found = _journal(stage)
    if found is None:
        return None
    company, _ = found
    expense, bank = STAMPS
    typed = stage.companies.central(
        "add-manual-line", company=company, account=expense, amount="5.00", description="Stamps", balance_account=bank
    )
    return Done(typed["document_number"])


# --- documents --------------------------------------------------------------------------------------------------------


def reverse(stage: Stage, act: Act) -> Done | None:
    found = stage.document(act.luck, _fits, posted=True)
    if found is None:
        return None
    company, document, number = found
    stage.companies.central("reverse", company=company, id=document.lines[0].id)
    return Done(document.number, (number,))


def copy(stage: Stage, act: Act) -> Done | None:
    """All lines that the ledger knows by an account of its own, key and all."""
    found = stage.document(act.luck, _fits)
    if found is None:
        return None
    company, document, number = found
    sides = [(one.kind, one.account, one.amount) for one in document.lines if one.kind in (central.GL, central.BANK)]
    return _type(stage, act, company, document.lines[0].key, document.day, sides, Done(hit=(number,)))


def enter(stage: Stage, act: Act, facts: JSON, number: int, amount: str, day: str) -> Done:
    """A purchase, before it is posted."""
    sides = [(central.GL, EXPENSES, amount), (central.GL, facts["account"], f"-{amount}")]
    done = Done("before it was posted", (number,))
    return _type(stage, act, facts["company"], f"PEXT{number}", day, sides, done)


def _type(
    stage: Stage, act: Act, company: str, key: str, day: str, sides: Iterable[tuple[str, str, object]], done: Done
) -> Done:
    """A document of these sides: type and number of an account, what it is debited by."""
    hand = f"by hand {act.number}"
    for kind, account, amount in sides:
        stage.companies.central(
            "add-manual-line",
            company=company,
            account_type=kind,
            account=account,
            amount=str(amount),
            posting_date=day,
            document_number=key,
            external_number=key,
            description=f"Dana, {hand} {key}",
        )
    return replace(done, facts={"record": f"{key} {hand}"})


# --- projects ---------------------------------------------------------------------------------------------------------


def add_project(stage: Stage, act: Act, name: str) -> Done:
    facts = _synced(stage)
    code = f"S-{act.number}"
    stage.companies.central("add-value", company=facts["company"], dimension=facts["category"], code=code, name=name)
    return Done(f"{name} in Business Central")


def rename_project(stage: Stage, act: Act) -> Done:
    facts = _synced(stage)
    values = stage.companies.central_set_up(facts["company"])["values"]
    chosen = [one for one in values if one["dimension"] == facts["category"]]
    value = chosen[int(act.luck * len(chosen))]
    name = f"{value['name'].split(',')[0]}, part {act.number}"
    stage.companies.central(
        "rename-value", company=facts["company"], dimension=facts["category"], code=value["code"], name=name
    )
    return Done(f"{name} in Business Central")


# --- choosing ---------------------------------------------------------------------------------------------------------


def _journal(stage: Stage) -> tuple[str, JSON] | None:
    """The company and its books; None while nothing of ours stands in its journal."""
    for facts in stage.in_central()[:1]:
        books = stage.companies.central_books(facts["company"])
        if any(line.draft and line.names for line in central.lines(books)):
            return facts["company"], books
    return None


def _synced(stage: Stage) -> JSON:
    """The business whose dimension fills a tag in PEX."""
    return next(facts for facts in stage.in_central() if facts["synced"])


def _of_pex(stage: Stage, document: Document) -> list[Line]:
    return document.on({facts["account"] for facts in stage.in_central()})


def _noted(stage: Stage) -> set[int]:
    """PEX's ids of what carries our note."""
    return {
        row["transaction_id"]
        for facts in stage.in_central()
        for row in stage.companies.transactions(facts["pex_id"])
        if any(note["system"] for note in row["notes"])
    }


DEEDS: dict[str, Deed] = {
    "journal posted": post_journal,
    "documents renumbered": renumber,
    "words edited": edit_words,
    HALVED: delete_line,
    "document reversed": reverse,
    "line typed below": type_below,
}
