"""attachments: the files of incoming documents, which hang on a journal line or on the G/L entries of a document.

A file is made first and filled afterwards (`set_content`); until then it has no bytes. Lists need `needs_parent_type`
and go through `narrowed` first, because the files of a posted document are those of each of its entries.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from sandbox.dynamics365 import members as read
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import NOBODY, Attachment, JournalLine, LedgerEntry, Record
from sandbox.dynamics365.values import Member, refused

WRITABLE = frozenset({"fileName", "parentId", "parentType"})
READ_ONLY = frozenset({"id", "byteSize", "lastModifiedDateTime", "attachmentContent"})

JOURNAL = "Journal"
ELSEWHERE = ("Employee", "Job", "Item", "Customer", "Vendor")  # those belong to documentAttachments
PARENT_TYPES = (
    " ",
    JOURNAL,
    "Sales Order",
    "Sales Quote",
    "Sales Credit Memo",
    "Sales Invoice",
    "Purchase Invoice",
    "Purchase Order",
    "Purchase Credit Memo",
    *ELSEWHERE,
)
BAD_NAME = re.compile(r'["<>|:*?\\/\x00-\x1f]')
LONGEST_NAME, LONGEST_EXTENSION = 250, 30


def rows(company: Company, parent: Record | None) -> list[Attachment]:
    """All files, or those of a journal line, or those of the document a G/L entry belongs to."""
    if isinstance(parent, LedgerEntry):
        document = (parent.document_number, parent.posting_date)
        held = [one for one in company.attachments.values() if company.posted_documents.get(one.id) == document]
        return [_seen_from(parent, one) for one in held]
    return [one for one in company.attachments.values() if parent is None or one.parent == parent.id]


def _seen_from(entry: LedgerEntry, attachment: Attachment) -> Attachment:
    """Each entry of a document shows its files as its own."""
    return attachment if attachment.parent == entry.id else replace(attachment, parent=entry.id)


def needs_parent_type(names: set[str]) -> None:
    """Raises Refused for a list whose filter has `parentId` without `parentType`; `names` are those it mentions."""
    if "parentId" in names and "parentType" not in names:
        raise refused("You must specify a document id and a document type to get the attachments.")


def narrowed(company: Company, parent_id: str, parent_type: str = JOURNAL) -> list[Attachment]:
    """The files a filter `parentId eq ... and parentType eq ...` asks for, shown as those of this parent.

    The rest of the filter comes after. Raises Refused when no journal line or entry has this id: it was posted,
    deleted, or never was. The empty guid asks for what hangs on nothing.
    """
    if parent_id == NOBODY:
        return [one for one in company.attachments.values() if one.parent == NOBODY]
    holder = _holder(company, parent_id) if parent_type == JOURNAL else None
    if holder is None:
        raise refused("No document with the specified ID exists.")
    return rows(company, holder)


def find(company: Company, id: str) -> Attachment | None:
    return company.attachments.get(id)


def shown(company: Company, record: Attachment) -> dict[str, Any]:
    return {
        "id": record.id,
        "parentId": record.parent,
        "fileName": record.name,
        "byteSize": len(record.content),
        "lastModifiedDateTime": record.changed,
        "parentType": Member(record.parent_type),
    }


def create(company: Company, parent: Record | None, body: dict[str, Any]) -> Attachment:
    """Make a file without bytes. Whose parent is not found is stored all the same, linked to nothing."""
    parent_id, parent_type = _parent_type(body)
    if parent_id == NOBODY and parent is not None:
        parent_id, parent_type = parent.id, JOURNAL
    holder = _holder(company, parent_id) if parent_type == JOURNAL else None
    made = Attachment(company.new_id(), company.world.now(), name=_file_name(body.get("fileName")))
    if holder is not None:
        made.parent, made.parent_type = holder.id, JOURNAL
    company.attachments[made.id] = made
    company.did(lambda: _forget(company, made.id))
    if isinstance(holder, LedgerEntry):
        company.posted_documents[made.id] = (holder.document_number, holder.posting_date)
    return made


def _parent_type(body: dict[str, Any]) -> tuple[str, str]:
    """Raises Refused for a parent type that belongs to the other API."""
    parent_type = read.member("parentType", body.get("parentType", " "), PARENT_TYPES)
    if parent_type in ELSEWHERE:
        raise refused(f"Parent type {parent_type} is not supported. Use documentAttachments API instead.")
    return read.guid("parentId", body.get("parentId")), parent_type


def _holder(company: Company, id: str) -> JournalLine | LedgerEntry | None:
    """The journal line, of whatever kind, or the G/L entry of this id."""
    if id in company.entries:
        return company.entries[id]
    return next((journal.lines[id] for journal in company.journals.values() if id in journal.lines), None)


def _file_name(value: Any) -> str:
    """A name with a character no file may have becomes `filename.txt` without a word."""
    name = read.text("fileName", value, LONGEST_NAME)
    if not name or BAD_NAME.search(name):
        return "filename.txt"
    stem, dot, extension = name.rpartition(".")
    return f"{stem}{dot}{extension[:LONGEST_EXTENSION]}" if dot else name


def change(company: Company, record: Attachment, body: dict[str, Any]) -> None:
    """Only the name changes."""
    parent_id, parent_type = _parent_type({"parentId": record.parent, "parentType": record.parent_type, **body})
    for name, differs in (("parentId", parent_id != record.parent), ("parentType", parent_type != record.parent_type)):
        if differs:
            raise refused(f"You cannot change the value of the key field {name}.")
    attachment = company.attachments[record.id]
    company.keep(attachment)
    if "fileName" in body:
        attachment.name = _file_name(body["fileName"])
    company.touch(attachment)


def content(company: Company, attachment: Attachment) -> bytes:
    return attachment.content


def set_content(company: Company, attachment: Attachment, content: bytes, content_type: str) -> None:
    """Fill the file; a second time replaces what it held."""
    attachment = company.attachments[attachment.id]
    company.keep(attachment)
    attachment.content, attachment.content_type = content, content_type
    company.touch(attachment)


def delete(company: Company, record: Attachment) -> None:
    """With its last file the incoming document is gone, and with it the mark that it was posted."""
    files, documents = company.attachments, company.posted_documents

    def back() -> None:
        company.attachments, company.posted_documents = files, documents

    company.did(back)
    company.attachments = {id: one for id, one in files.items() if id != record.id}
    company.posted_documents = {id: document for id, document in documents.items() if id != record.id}


def _forget(company: Company, id: str) -> None:
    company.attachments.pop(id, None)
    company.posted_documents.pop(id, None)


# Called by what happens to lines


def detach(company: Company, lines: Iterable[str]) -> None:
    """The lines of these ids are going: their files stay, on nothing."""
    going = set(lines)
    for one in company.attachments.values():
        if one.parent in going:
            company.keep(one)
            one.parent, one.parent_type = NOBODY, " "
            company.touch(one)


def mark_posted(company: Company, documents: dict[str, tuple[str, date, str]]) -> None:
    """The files of these lines are found from now on by the document. `documents`: line -> number, day, G/L entry."""
    posted: dict[str, tuple[str, date]] = {}
    for one in company.attachments.values():
        if one.parent in documents:
            number, day, entry = documents[one.parent]
            company.keep(one)
            one.parent = entry
            posted[one.id] = (number, day)
            company.touch(one)
    before = company.posted_documents
    company.did(lambda: setattr(company, "posted_documents", before))
    company.posted_documents = {**before, **posted}


# What people do


def release(company: Company, attachment: Attachment) -> None:
    """Approve its incoming document: all files of the same line."""
    for one in company.files_of(attachment.parent) if attachment.parent != NOBODY else [attachment]:
        company.keep(one)
        one.released = True
        company.touch(one)
