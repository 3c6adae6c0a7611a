"""What people do to transactions while the product works on them: in PEX, in Xero, and where both systems have it."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from chaos import central_people, plan
from chaos.companies import CENTRAL
from chaos.plan import Act, Arrival
from chaos.stage import IN_XERO, JSON, SPREAD, Done, Stage, chosen, has_receipts

EASTERN = ZoneInfo("America/New_York")  # whose days the books count purchases by
LABELS = {CENTRAL: "Dynamics 365"}  # what notes call a system; else Xero

Deed = Callable[[Stage, Act], Done | None]
"""None where there is nothing to do it to."""


def void(stage: Stage, act: Act) -> Done | None:
    """A record of any kind; not a payment that is reversed, since its reversal would wait for it for ever."""
    found = stage.record(act.luck, lambda _, arrival: arrival.shape != "money out")
    if found is None:
        return None
    company, record, number = found
    stage.companies.xero("void", organisation=company, id=record["id"])
    return Done(hit=(number,), facts={"record": record["id"]})


def edit_reference(stage: Stage, act: Act) -> Done | None:
    """Not of a transfer, whose reference is the only place its key stands in."""
    found = stage.record(act.luck, lambda record, _: not record["transfer"])
    if found is None:
        return None
    company, record, number = found
    stage.companies.xero("edit", organisation=company, id=record["id"], reference="July, with Dana")
    return Done(hit=(number,), facts={"record": record["id"]})


def double_by_hand(stage: Stage, act: Act) -> Done | None:
    """What is posted already, or before it is: then the record entered by hand is the one that counts."""
    if act.luck < 0.5:
        return _enter_first(stage, act)
    if _in_central(stage, act):
        return central_people.copy(stage, act)
    found = stage.record(act.luck, lambda record, _: not record["transfer"])
    if found is None:
        return None
    company, record, number = found
    copied = {name: record[name] for name in ("reference", "type", "bank_account", "date")}
    entered = stage.companies.xero("enter", organisation=company, amount=record["total"], **copied)
    return Done(hit=(number,), facts={"record": entered["id"]})


def _enter_first(stage: Stage, act: Act) -> Done:
    """Something is bought, and a bookkeeper is quicker than the next sync."""
    place = int(act.luck * SPREAD) % len(stage.world)
    facts = stage.world[place]
    number = stage.buy(Arrival(act.at, place, "purchase", 100 + act.number, plan.ACCOUNTS[0], 0))
    row = next(row for row in stage.companies.transactions(facts["pex_id"]) if row["transaction_id"] == number)
    day = datetime.fromisoformat(row["settled"]).astimezone(EASTERN).date().isoformat()
    amount = row["amount"].removeprefix("-")
    if facts["system"] == CENTRAL:
        return central_people.enter(stage, act, facts, number, amount, day)
    entered = stage.companies.xero(
        "enter",
        organisation=facts["company"],
        reference=f"PEXT{number}",
        amount=amount,
        type="SPEND",
        bank_account=facts["bank"],
        date=day,
    )
    return Done("before it was posted", (number,), {"record": entered["id"]})


def remove_note(stage: Stage, act: Act) -> Done | None:
    facts = stage.world[int(act.luck * len(stage.world))]
    noted = [
        (row["transaction_id"], note["note_id"])
        for row in stage.companies.transactions(facts["pex_id"])
        for note in row["notes"]
        if note["system"] and stage.untouched(row["transaction_id"])
    ]
    found = chosen(noted, act.luck * SPREAD % 1)
    if found is None:
        return None
    number, note = found
    stage.companies.pex("remove-note", transaction_id=number, note_id=note)
    return Done(hit=(number,), facts={"note": note})


def forge_note(stage: Stage, act: Act) -> Done | None:
    """Typed by hand, as the earlier connector wrote it, or word for word as ours."""
    number = stage.newest("purchase", act.luck)
    if number is None:
        return None
    mark = f"Synced with {LABELS.get(stage.world[stage.bought[number].business]['system'], 'Xero')}"
    texts = ((mark, False), (mark, True), (f"{mark} · PEXT{number}", True))
    text, system = texts[int(act.luck * SPREAD) % len(texts)]
    note = stage.companies.pex("note", transaction_id=number, text=text, system=system)["note_id"]
    return Done(text, (number,), {"note": note})


def add_receipt(stage: Stage, act: Act) -> Done | None:
    number = stage.standing(act.luck, lambda arrival: has_receipts(arrival.shape))
    if number is None:
        return None
    return Done(hit=(number,), facts={"attachment": stage.give_receipt(number)})


def tag_again(stage: Stage, act: Act) -> Done | None:
    number = stage.newest("purchase", act.luck)
    if number is None:
        return None
    bought = stage.bought[number]
    account = plan.ACCOUNTS[(plan.ACCOUNTS.index(bought.arrival.account) + 1) % len(plan.ACCOUNTS)]
    tag = stage.world[bought.business]["tag"]
    stage.companies.pex("tag", transaction_id=number, tag_id=tag, value=account)
    return Done(account, (number,))


def approve(stage: Stage, act: Act) -> Done | None:
    number = stage.newest("unapproved", act.luck)
    if number is None:
        return None
    stage.companies.pex("review", transaction_id=number, approval="Approved")
    return Done(hit=(number,))


def add_project(stage: Stage, act: Act) -> Done:
    name = f"Site {act.number}"
    if _in_central(stage, act):
        return central_people.add_project(stage, act, name)
    company, category = _projects(stage)
    stage.companies.xero("add-tracking", organisation=company, id=category["id"], options=[name])
    return Done(name)


def rename_project(stage: Stage, act: Act) -> Done:
    if _in_central(stage, act):
        return central_people.rename_project(stage, act)
    company, category = _projects(stage)
    option = category["options"][int(act.luck * len(category["options"]))]
    name = f"{option['name'].split(',')[0]}, part {act.number}"
    stage.companies.xero("change-tracking", organisation=company, id=option["id"], name=name)
    return Done(name)


def _projects(stage: Stage) -> tuple[str, JSON]:
    """The organisation whose projects become options in PEX, and its tracking category."""
    facts = next(facts for facts in stage.world if facts["synced"])
    [category] = [one for one in stage.companies.tracking(facts["company"]) if one["id"] == facts["category"]]
    return facts["company"], category


def _in_central(stage: Stage, act: Act) -> bool:
    """Whether somebody at Business Central does it, where both systems have it."""
    return bool(stage.in_central()) and act.luck * SPREAD % 1 > IN_XERO


DEEDS: dict[str, Deed] = {
    "record voided": void,
    "reference edited": edit_reference,
    "doubled by hand": double_by_hand,
    "note removed": remove_note,
    "note forged": forge_note,
    "receipt added": add_receipt,
    "tagged again": tag_again,
    "approved late": approve,
    "project added": add_project,
    "project renamed": rename_project,
} | central_people.DEEDS
