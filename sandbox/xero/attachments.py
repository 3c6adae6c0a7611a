"""Attachments and history notes, which several kinds of records carry in the same way."""

import re
from collections.abc import Callable
from operator import attrgetter
from urllib.parse import quote

from sandbox.xero import accounts, bank_transactions, bank_transfers, contacts
from sandbox.xero import elements as read
from sandbox.xero.answers import Answer, ApiRequest, Refused, not_found, refused_with, too_large
from sandbox.xero.records import Account, Attachment, BankTransaction, BankTransfer, Contact, Note
from sandbox.xero.shapes import attachment, note

FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00]')
LONGEST_NAME, LONGEST_NOTE = 255, 2500
TYPES = {
    "7z": "application/x-7z-compressed",
    "bmp": "image/bmp",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "keynote": "application/x-iwork-keynote-sffkey",
    "msg": "application/vnd.ms-outlook",
    "numbers": "application/x-iwork-numbers-sffnumbers",
    "odf": "application/vnd.oasis.opendocument.formula",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pages": "application/x-iwork-pages-sffpages",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rar": "application/vnd.rar",
    "rtf": "application/rtf",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}
"""The extensions Xero lists, and the type it answers with: it follows the name, not the header."""

Holder = Account | BankTransaction | BankTransfer | Contact
Noted = BankTransaction | BankTransfer | Contact
FINDERS: dict[str, Callable[[ApiRequest, str], Holder]] = {
    "accounts": accounts.find,
    "banktransactions": bank_transactions.find,
    "banktransfers": bank_transfers.find,
    "contacts": contacts.find,
}


def _holder(request: ApiRequest, id: str) -> Holder:
    return FINDERS[request.path[0].lower()](request, id)


def get_many(request: ApiRequest, id: str) -> Answer:
    return _answer(request, id, *_holder(request, id).attachments)


def _answer(request: ApiRequest, id: str, *shown: Attachment) -> Answer:
    base = f"{request.desk.url}/xero-api/api.xro/2.0/{request.path[0]}/{id}/Attachments"
    return request.envelope(
        "Attachments", (attachment(one, f"{base}/{quote(one.file_name, safe='')}") for one in shown)
    )


def get_one(request: ApiRequest, id: str, name: str) -> Answer:
    """Return the bytes of the file with this name or id."""
    found = _find(_holder(request, id), name)
    if found is None:
        raise Refused(not_found())
    disposition = f"attachment; filename*=UTF-8''{quote(found.file_name, safe='')}"
    return Answer(200, found.content, found.mime_type, {"Content-Disposition": disposition})


def _find(holder: Holder, name: str) -> Attachment | None:
    wanted = name.casefold()
    return next((one for one in holder.attachments if wanted in (one.file_name.casefold(), one.id)), None)


def put_one(request: ApiRequest, id: str, name: str) -> Answer:
    """Store one file; a file of the same name is overwritten and keeps its id."""
    holder, switches = _holder(request, id), request.world.switches
    if len(request.body) > switches.attachment_bytes:
        return too_large()
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    error = _name_error(request, name, extension)
    existing = _find(holder, name)
    if not request.body:
        error = error or "The file is empty"
    if existing is None and len(holder.attachments) >= switches.attachment_files:
        error = error or f"A maximum of {switches.attachment_files} attachments is allowed for each document"
    if error:
        return refused_with(error)
    mime_type = TYPES.get(extension, "application/octet-stream")
    if existing is None:
        existing = Attachment(request.world.new_id("attachment"), name, mime_type, b"")
        holder.attachments.append(existing)
    existing.content = request.body
    if not isinstance(holder, Account):
        details = f"Attached the file {name} through the Xero API using {request.app.name}"
        request.organisation.note(holder, "Attached a file", details, "System Generated")
    return _answer(request, id, existing)


def _name_error(request: ApiRequest, name: str, extension: str) -> str:
    if FORBIDDEN.search(name):
        return "The file name contains a character that is not allowed"
    if len(name) > LONGEST_NAME:
        return f"The file name is too long. Maximum of {LONGEST_NAME} characters allowed"
    if request.world.switches.attachment_types == "listed" and extension not in TYPES:
        return f"The file type '{extension}' is not supported"
    return ""


def _noted(request: ApiRequest, id: str) -> Noted:
    holder = _holder(request, id)
    if isinstance(holder, Account):
        raise Refused(not_found())
    return holder


def get_history(request: ApiRequest, id: str) -> Answer:
    """Return the history, youngest first."""
    notes = sorted(_noted(request, id).history, key=attrgetter("at"), reverse=True)
    return _notes(request, *notes)


def put_history(request: ApiRequest, id: str) -> Answer:
    holder = _noted(request, id)
    texts = [read.text(one, "Details") for one in request.elements("HistoryRecords")]
    if not all(texts):
        return refused_with("The Details of a history record are mandatory")
    if any(len(text) > LONGEST_NOTE for text in texts):
        return refused_with(f"Details is too long. Maximum of {LONGEST_NOTE} characters allowed")
    added = [Note(request.now, text, "Note", request.app.name) for text in texts]
    holder.history.extend(added)
    return _notes(request, *added)


def _notes(request: ApiRequest, *notes: Note) -> Answer:
    return request.envelope("HistoryRecords", (note(one, request.style) for one in notes))
