"""The pages of a company's journals and of its general ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from sandbox.dynamics365 import attachments, journals, posting, set_up
from sandbox.dynamics365.company import Document
from sandbox.dynamics365.look import page
from sandbox.dynamics365.records import ACCOUNT_TYPES, NO_DATE, Attachment, Journal, JournalLine, LedgerEntry
from sandbox.dynamics365.visit import Missing, Rejected, View, Visit, day, found, money

SHOWN_INLINE = ("application/pdf", "image/png", "image/jpeg", "image/gif", "text/plain")
SUFFIXES = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "txt": "text/plain",
}


# Journals


def _journals(visit: Visit) -> Response:
    return page("journals.html", company=visit.company, root=visit.root, rows=list(visit.company.journals.values()))


def _add_journal(visit: Visit) -> Response:
    company = visit.company
    made = set_up.add_journal(
        company,
        visit.text("code"),
        visit.text("name"),
        visit.text("template"),
        number_series=visit.text("number_series").upper(),
        posting_series=visit.text("posting_series").upper(),
    )
    set_up.balance_with(company, made, visit.text("balance_account"))
    return visit.back("journals", made.id)


def _journal(visit: Visit) -> Response:
    company = visit.company
    journal: Journal = found(company.journals, visit.path["journal"])
    rows = list(journal.lines.values())
    start, line = _selected(visit, rows)
    return page(
        "journal.html",
        company=company,
        root=visit.root,
        journal=journal,
        line=line,
        files=company.files_of(line.id) if line else [],
        filed=Counter(one.parent for one in company.attachments.values()),
        check=_check(rows),
        kinds=ACCOUNT_TYPES,
        **visit.part(rows, start),
    )


def _selected(visit: Visit, rows: Sequence[JournalLine]) -> tuple[int | None, JournalLine | None]:
    """The line of `?line=` or the first of `?document=`, and where it stands when the page is not named."""
    line, document = visit.query.get("line", ""), visit.query.get("document", "").upper()
    for number, one in enumerate(rows):
        if one.id == line or (document and one.document_number == document):
            return (None if "page" in visit.query else number), one
    return None, None


@dataclass(frozen=True)
class Check:
    """What the page says about the whole journal before it is posted."""

    debit: Decimal
    credit: Decimal
    unbalanced: Sequence[Document]


def _check(rows: Sequence[JournalLine]) -> Check:
    documents: dict[tuple[str, Any], Document] = {}
    for line in rows:
        if line.account and not line.balance_account:
            document = documents.setdefault(
                (line.document_number, line.posting_date), Document("", line.document_number, line.posting_date)
            )
            document.add((line.account_type, line.account, line.amount))
    debit = sum((line.amount for line in rows if line.amount > 0), Decimal(0))
    credit = sum((-line.amount for line in rows if line.amount < 0), Decimal(0))
    return Check(debit, credit, [one for one in documents.values() if not one.balanced])


def _change_journal(visit: Visit) -> Response:
    company = visit.company
    journal: Journal = found(company.journals, visit.path["journal"])
    action = visit.text("action")
    if action == "post":
        posting.post_now(company, journal)
    elif action == "renumber":
        journals.renumber(company, journal)
    elif action == "recreate":
        return visit.back("journals", journals.recreate_journal(company, journal).id)
    elif action == "delete":
        journals.delete(company, journal)
        return visit.back("journals")
    elif action == "edit":
        _edit_journal(visit, journal)
    else:
        raise Rejected("A journal cannot be changed in this way.")
    return visit.back("journals", journal.id)


def _edit_journal(visit: Visit, journal: Journal) -> None:
    set_up.balance_with(visit.company, journal, visit.text("balance_account"))
    set_up.change(
        visit.company,
        journal,
        name=visit.text("name"),
        number_series=visit.text("number_series").upper(),
        posting_series=visit.text("posting_series").upper(),
        manual_numbers="manual_numbers" in visit.form,
        pending_approval="pending_approval" in visit.form,
    )


# Lines


def _add_line(visit: Visit) -> Response:
    journal: Journal = found(visit.company.journals, visit.path["journal"])
    made = journals.add_manual_line(
        visit.company,
        journal,
        visit.text("account").upper(),
        money(visit.text("amount")),
        **_typed(visit, "posting_date", "document_number", "external_number", "description", "account_type"),
    )
    return visit.back("journals", journal.id, line=made.id)


def _typed(visit: Visit, *names: str) -> dict[str, Any]:
    """The fields that were filled in."""
    fields: dict[str, Any] = {name: visit.text(name) for name in names if visit.text(name)}
    if "posting_date" in fields:
        fields["posting_date"] = day(fields["posting_date"])
    return fields


def _change_line(visit: Visit) -> Response:
    company = visit.company
    journal: Journal = found(company.journals, visit.path["journal"])
    line: JournalLine = found(journal.lines, visit.path["line"])
    action = visit.text("action")
    if action == "delete":
        journals.delete_line(company, line)
        return visit.back("journals", journal.id)
    if action == "release":
        for file in company.files_of(line.id):
            attachments.release(company, file)
    elif action == "edit":
        journals.edit_line(
            company,
            line,
            posting_date=day(visit.text("posting_date")) or NO_DATE,
            document_number=visit.text("document_number").upper(),
            external_number=visit.text("external_number").upper(),
            description=visit.text("description"),
            amount=money(visit.text("amount")),
        )
    else:
        raise Rejected("A line cannot be changed in this way.")
    return visit.back("journals", journal.id, line=line.id)


# The general ledger


def _ledger(visit: Visit) -> Response:
    company, document = visit.company, visit.query.get("document", "").strip().upper()
    term = visit.query.get("q", "").strip()
    entries = sorted(company.entries.values(), key=lambda one: one.number, reverse=True)
    rows = [one for one in entries if document in ("", one.document_number) and _mentions(one, term.casefold())]
    return page(
        "ledger.html",
        company=company,
        root=visit.root,
        document=document,
        term=term,
        files=attachments.rows(company, rows[0]) if document and rows else [],
        filed=Counter(company.posted_documents.values()),
        **visit.part(rows),
    )


def _mentions(one: LedgerEntry, term: str) -> bool:
    words = (one.document_number, one.external_number, one.description, one.account, str(one.debit or one.credit))
    return not term or any(term in word.casefold() for word in words)


def _reverse(visit: Visit) -> Response:
    entry: LedgerEntry = found(visit.company.entries, visit.path["entry"])
    posting.reverse(visit.company, entry)
    return visit.back("ledger", document=entry.document_number)


# Files


def _file(visit: Visit) -> Response:
    file: Attachment = found(visit.company.attachments, visit.path["file"])
    if not file.content:
        raise Missing
    kind = SUFFIXES.get(file.name.rpartition(".")[2].lower(), file.content_type)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    if kind not in SHOWN_INLINE:
        headers["Content-Disposition"] = "attachment"
    return Response(file.content, headers=headers, media_type=kind)


VIEWS: list[tuple[str, str, View]] = [
    ("GET", "/companies/{company}/journals", _journals),
    ("POST", "/companies/{company}/journals", _add_journal),
    ("GET", "/companies/{company}/journals/{journal}", _journal),
    ("POST", "/companies/{company}/journals/{journal}", _change_journal),
    ("POST", "/companies/{company}/journals/{journal}/lines", _add_line),
    ("POST", "/companies/{company}/journals/{journal}/lines/{line}", _change_line),
    ("GET", "/companies/{company}/ledger", _ledger),
    ("POST", "/companies/{company}/ledger/{entry}", _reverse),
    ("GET", "/companies/{company}/files/{file}", _file),
]
