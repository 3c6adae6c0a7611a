"""journals: the general journal batches, and what people do in them.

Lists of the API go through `listed`: without a filter for a template they show the default template's alone.
"""

from decimal import Decimal
from typing import Any

from sandbox.dynamics365 import lines
from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.line_accounts import check_account, id_of
from sandbox.dynamics365.number_series import take
from sandbox.dynamics365.records import GL, NOBODY, Journal, JournalLine, Record
from sandbox.dynamics365.values import Refused, refused

WRITABLE = frozenset({"code", "displayName", "templateDisplayName", "balancingAccountId", "journalLines"})
READ_ONLY = frozenset({"id", "balancingAccountNumber", "lastModifiedDateTime"})

RENUMBERING = "RENUMBER"  # the series of `renumber` where the journal has none: R00001 ...


def rows(company: Company, parent: Record | None) -> list[Journal]:
    return list(company.journals.values())


def listed(company: Company, names_filtered: set[str]) -> list[Journal]:
    """What a list starts from; `names_filtered` are the members its filter mentions. Each list of the API asks here."""
    if "templateDisplayName" in names_filtered:
        return rows(company, None)
    return [one for one in company.journals.values() if one.template == company.default_template]


def find(company: Company, id: str) -> Journal | None:
    """The journal of this id, in whatever template."""
    return company.journals.get(id)


def shown(company: Company, record: Journal) -> dict[str, Any]:
    return {
        "id": record.id,
        "code": record.code,
        "displayName": record.name,
        "templateDisplayName": record.template,
        "lastModifiedDateTime": record.changed,
        "balancingAccountId": id_of(company, record.balance_type, record.balance_account),
        "balancingAccountNumber": record.balance_account,
    }


def create(company: Company, parent: Record | None, body: dict[str, Any]) -> Journal:
    """A journal made here has no number series: those of the template are copied only on the page of people."""
    with company.whole():
        journal = Journal(company.new_id(), company.world.now(), template=company.default_template)
        _take(company, journal, body)
        if "templateDisplayName" in body:
            journal.template = read.code("templateDisplayName", body["templateDisplayName"], 10)
        _check(company, journal)
        company.journals[journal.id] = journal
        company.did(lambda: _drop(company, journal.id))
        for nested in read.children(body, "journalLines", lines.WRITABLE, lines.READ_ONLY):
            lines.create(company, journal, nested)
        return journal


def _take(company: Company, journal: Journal, body: dict[str, Any]) -> None:
    if "code" in body:
        journal.code = read.code("code", body["code"], 10)
    if "displayName" in body:
        journal.name = read.text("displayName", body["displayName"], 100)
    if "balancingAccountId" in body:
        id = read.guid("balancingAccountId", body["balancingAccountId"])
        if id != NOBODY and id not in company.accounts:
            raise refused('The "balancingAccountId" does not match to an Account.')
        number = company.accounts[id].number if id != NOBODY else ""
        check_account(company, GL, number)
        journal.balance_type, journal.balance_account = GL, number


def _check(company: Company, journal: Journal) -> None:
    if not journal.code:
        raise Refused("BadRequest_RequiredParamNotProvided", "The field 'code' must be filled in.")
    if any(
        (one.template, one.code) == (journal.template, journal.code)
        for one in company.journals.values()
        if one is not journal
    ):
        raise Refused(
            "Internal_EntityWithSameKeyExists",
            "The record in table Gen. Journal Batch already exists. Identification fields and values: "
            f"Journal Template Name='{journal.template}',Name='{journal.code}'",
        )


def _drop(company: Company, id: str) -> None:
    del company.journals[id]


def change(company: Company, record: Journal, body: dict[str, Any]) -> None:
    if "journalLines" in body:
        raise Refused("BadRequest", "A nested update of 'journalLines' is not supported.")
    if "templateDisplayName" in body and body["templateDisplayName"] != record.template:
        raise Refused("BadRequest_InvalidOperation", "The field templateDisplayName is read-only.")
    with company.whole():
        company.keep(record)
        _take(company, record, body)
        _check(company, record)
        company.touch(record)


def delete(company: Company, record: Journal) -> None:
    """Its lines go with it; their files stay."""
    with company.whole():
        lines.remove(company, record, set(record.lines))
        before = company.journals
        company.did(lambda: setattr(company, "journals", before))
        company.journals = {id: one for id, one in before.items() if one is not record}


# What people do


def edit_line(company: Company, line: JournalLine, **fields: Any) -> None:
    """Type over fields of a line: `document_number="X"`, `amount=Decimal(5)`, `account="61200"` ...

    What the API takes is checked as there; `document_type` and `dimensions` only people can set whole.
    """
    with company.whole():
        by_hand = {name: fields.pop(name) for name in ("document_type", "dimensions") if name in fields}
        lines.change(company, line, {WIRE[name]: _sent(value) for name, value in fields.items()})
        for name, value in by_hand.items():
            setattr(line, name, value)


def delete_line(company: Company, line: JournalLine) -> None:
    lines.delete(company, line)


def add_manual_line(
    company: Company, journal: Journal, account: str, amount: Decimal, account_type: str = GL, **fields: Any
) -> JournalLine:
    """Type a line at the bottom; what is left out comes as the page fills it in.

    After a journal that balances the document number is the last one raised by one.
    """
    fields = {"account_type": account_type, "account": account, "amount": amount, **fields}
    return lines.create(company, journal, {WIRE[name]: _sent(value) for name, value in fields.items()})


WIRE = {
    "number": "lineNumber",
    "account_type": "accountType",
    "account": "accountNumber",
    "posting_date": "postingDate",
    "document_number": "documentNumber",
    "external_number": "externalDocumentNumber",
    "amount": "amount",
    "description": "description",
    "comment": "comment",
    "tax_code": "taxCode",
    "balance_type": "balanceAccountType",
    "balance_account": "balancingAccountNumber",
}
"""Fields of a line as the API names them."""


def _sent(value: Any) -> Any:
    """Days are sent as text; numbers and texts as they are."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def renumber(company: Company, journal: Journal) -> None:
    """Give each unposted document a new number of the journal's series: its lines keep one number between them."""
    fresh: dict[tuple[str, Any], str] = {}
    for line in journal.lines.values():
        if lines.is_empty(line):
            continue
        document = (line.document_number, line.posting_date)
        if document not in fresh:
            fresh[document] = take(company, journal.number_series or RENUMBERING)
        company.keep(line)
        line.document_number = fresh[document]
        company.touch(line)


def recreate_journal(company: Company, journal: Journal) -> Journal:
    """Delete it and make it anew, as it was set up but empty: with the same code it has another id."""
    delete(company, journal)
    made = Journal(company.new_id(), company.world.now())
    kept = {
        name: value for name, value in journal.__dict__.items() if name not in ("id", "changed", "version", "lines")
    }
    made.__dict__.update(kept)
    company.journals[made.id] = made
    company.did(lambda: _drop(company, made.id))
    return made
