"""Receipts of transactions, and the short-lived links to their files."""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.pex import documents
from sandbox.pex.asks import EMPTY, Ask, Fields, Refused, Reply, reply
from sandbox.pex.eastern import utc_text
from sandbox.pex.records import Attachment, Person, Transaction

LINK_TYPES = ("linkurl", "full", "thumbnail", "preview")


def every(ask: Ask) -> Reply:
    """GET Transactions/{id}/Attachments; 404 when there are none"""
    row = ask.row()
    if not row.attachments:
        raise Refused(404, "Attachments not found")
    shown = [_json(ask, one) for one in row.attachments]
    return reply({"Attachments": shown, "ApprovalStatus": row.approval})


def one(ask: Ask) -> Reply:
    """GET Transactions/{id}/Attachment/{attachmentId}?AttachmentLinkType=LinkUrl|Full|Thumbnail|Preview"""
    row = ask.row()
    attachment = _find(ask, row)
    kind = (ask.parameter("AttachmentLinkType") or "LinkUrl").lower()
    if kind.isdecimal() and int(kind) < len(LINK_TYPES):
        kind = LINK_TYPES[int(kind)]
    if kind not in LINK_TYPES:
        raise Refused(400, "AttachmentLinkType is not known")
    facts = _json(ask, attachment)
    return reply({**facts, "Content": _content(ask, attachment, kind), "ApprovalStatus": row.approval})


def add(ask: Ask) -> Reply:
    """POST Transactions/{id}/Attachment"""
    row = ask.row()
    kind, content = _sent(ask, ask.fields())
    delay = ask.world.switches.upload_delay
    attachment = Attachment(
        attachment_id=secrets.token_hex(12),
        kind=kind,
        content=content,
        author=ask.admin.person,
        at=ask.now,
        status="NotLoaded" if delay else "Loaded",
        loads_at=ask.now + timedelta(seconds=delay) if delay else None,
    )
    row.attachments = (*row.attachments, attachment)
    if row.approval == "Rejected":
        row.approval, row.reason = "NotReviewed", None
    return reply(_json(ask, attachment))


def change(ask: Ask) -> Reply:
    """PUT Transactions/{id}/Attachment/{attachmentId}"""
    row = _unlocked(ask)
    attachment = _find(ask, row)
    kind, content = _sent(ask, ask.fields())
    changed = replace(attachment, kind=kind, content=content, updated_by=ask.admin.person, updated_at=ask.now)
    row.attachments = tuple(changed if kept is attachment else kept for kept in row.attachments)
    return reply(_json(ask, changed))


def remove(ask: Ask) -> Reply:
    """DELETE Transactions/{id}/Attachment/{attachmentId}"""
    row = _unlocked(ask)
    ask.business.remove_receipt(row, _find(ask, row).attachment_id)
    return EMPTY


def remove_all(ask: Ask) -> Reply:
    """DELETE Transactions/{id}/Attachments"""
    row = _unlocked(ask)
    if not row.attachments:
        raise Refused(404, "Attachments not found")
    row.attachments = ()
    return EMPTY


def file(ask: Ask) -> Reply:
    """GET files/{ticket}: the file itself, for whoever holds the link, until it expires"""
    row_id, attachment_id, expires, signature = ask.groups["ticket"].split("-")
    name = f"{row_id}-{attachment_id}-{expires}"
    if not hmac.compare_digest(_signature(ask, name), signature):
        raise Refused(404, "File not found")
    if ask.now >= datetime.fromtimestamp(int(expires), UTC):
        page = "<!DOCTYPE html><title>403 Forbidden</title><h1>Forbidden</h1><p>The link has expired.</p>"
        return Reply(403, page.encode(), "text/html; charset=utf-8")
    row = ask.world.row(int(row_id))
    for attachment in row.attachments if row else ():
        if attachment.attachment_id == attachment_id:
            return Reply(200, attachment.content, documents.media_type(attachment.content))
    raise Refused(404, "File not found")


def _sent(ask: Ask, sent: Fields) -> tuple[str, bytes]:
    kind = sent.text("Type")
    if kind not in ("Image", "Pdf"):
        raise Refused(400, "Type must be Image or Pdf")
    try:
        content = base64.b64decode(sent.text("Content"), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Content must be base64") from None
    if not content or len(content) > ask.world.switches.attachment_bytes:
        raise Refused(400, "The file is empty or too large")
    if not content.startswith((b"%PDF",) if kind == "Pdf" else (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise Refused(400, "The file is not of the given Type; use PDF, PNG or JPEG")
    return kind, content


def _unlocked(ask: Ask) -> Transaction:
    row = ask.row()
    if row.approval == "Approved":
        raise Refused(403, "Transaction is approved")
    return row


def _find(ask: Ask, row: Transaction) -> Attachment:
    wanted = ask.groups["attachment"].lower()
    for attachment in row.attachments:
        if attachment.attachment_id == wanted:
            return attachment
    raise Refused(404, "Attachment not found")


def _json(ask: Ask, attachment: Attachment) -> dict[str, Any]:
    status = attachment.status_at(ask.now)
    return {
        "AttachmentId": attachment.attachment_id,
        "Type": attachment.kind,
        "Size": len(attachment.content),
        "Link": {"related": _link(ask, attachment)} if status == "Loaded" else None,
        "UploadStatus": status,
        "CreatedDateUtc": utc_text(attachment.at),
        "UpdatedDateUtc": utc_text(attachment.updated_at) if attachment.updated_at else None,
        "CreatedBy": user_json(attachment.author),
        "UpdatedBy": user_json(attachment.updated_by) if attachment.updated_by else None,
    }


def user_json(person: Person) -> dict[str, Any]:
    return {
        "AdminId": person.admin_id,
        "UserId": None,
        "PexUserId": None,
        "UserName": person.username,
        "FirstName": person.first,
        "LastName": person.last,
    }


def _content(ask: Ask, attachment: Attachment, kind: str) -> str | None:
    if attachment.status_at(ask.now) != "Loaded":
        return None
    if kind == "linkurl":
        return _link(ask, attachment) if ask.world.switches.link_in_content else None
    reduced = documents.png(3)  # a stand-in: nothing here can scale a picture
    return base64.b64encode(attachment.content if kind == "full" else reduced).decode()


def _link(ask: Ask, attachment: Attachment) -> str:
    expires = int(ask.now.timestamp()) + ask.world.switches.link_seconds
    name = f"{ask.number('transaction')}-{attachment.attachment_id}-{expires}"
    return f"{ask.desk.url}/pex/files/{name}-{_signature(ask, name)}"


def _signature(ask: Ask, name: str) -> str:
    return hmac.new(ask.world.secret.encode(), name.encode(), hashlib.sha256).hexdigest()
