"""What the control room can do to PEX: each action takes plain facts, from JSON or a form, and tells what it did."""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.pex.business import ALL, Admin, Business
from sandbox.pex.oauth import chosen_admin, grant
from sandbox.pex.records import Attachment, Statement, Tag, Transaction
from sandbox.pex.world import PexWorld

Facts = Mapping[str, Any]
Done = dict[str, Any]


def business_of(world: PexWorld, facts: Facts) -> Business:
    """Return the business the facts name; the first one when they name none."""
    number = _number(facts, "business_id")
    business = world.businesses.get(number) if number else next(iter(world.businesses.values()), None)
    if business is None:
        raise ValueError("There is no such business.")
    return business


def row_of(world: PexWorld, facts: Facts) -> tuple[Business, Transaction]:
    row = world.row(_number(facts, "transaction_id") or 0)
    if row is None:
        raise ValueError("There is no such transaction.")
    return world.businesses[row.business_id], row


def add_transaction(world: PexWorld, facts: Facts) -> Done:
    """Add rows. `kind` is purchase, pending, refund, decline, card_fee, dispute or business."""
    business, kind = business_of(world, facts), _text(facts, "kind") or "purchase"
    if kind not in _KINDS:
        raise ValueError(f"Unknown kind {kind!r}; known: {', '.join(_KINDS)}.")
    count = _number(facts, "count") or 1
    if not 1 <= count <= 100_000:
        raise ValueError("Between 1 and 100000 transactions can be added at once.")
    rows = [_KINDS[kind](world, business, facts) for _ in range(count)]
    return {"transaction_id": rows[-1].transaction_id, "transaction_ids": [row.transaction_id for row in rows]}


def _purchase(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    given = _given(business, facts)
    given["approval"] = _text(facts, "approval") or "NotReviewed"
    given |= {"tags": _tags(facts), "splits": _splits(facts), "split_encoding": _encoding(facts)}
    given |= {"receipts": _texts(facts, "receipts"), "notes": _texts(facts, "notes")}
    return business.add_purchase(settled=_settled(world, facts), **given)


def _pending(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    given = {**_given(business, facts), "approval": _text(facts, "approval") or "NotReviewed"}
    return business.add_purchase(settled=None, **given)


def _refund(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    return _purchase(world, business, {**facts, "amount": _turned(facts)})


def _decline(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    return business.add_decline(happened=_settled(world, facts), **_given(business, facts))


def _card_fee(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    given = _given(business, facts)
    given.pop("merchant", None)
    return business.add_card_fee(settled=_settled(world, facts), **given)


def _dispute(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    given = {**_given(business, facts), "amount": _turned(facts)}
    return business.add_dispute(settled=_settled(world, facts), **given)


def _business_row(world: PexWorld, business: Business, facts: Facts) -> Transaction:
    """Add a row of the business list; the amount has PEX's sign, money in is positive."""
    return business.add_business_row(
        category=_text(facts, "category") or "BusinessFunding",
        amount=_text(facts, "amount") or "500.00",
        description=_text(facts, "description") or "ACH credit",
        happened=_settled(world, facts),
    )


_KINDS: dict[str, Callable[[PexWorld, Business, Facts], Transaction]] = {
    "purchase": _purchase,
    "pending": _pending,
    "refund": _refund,
    "decline": _decline,
    "card_fee": _card_fee,
    "dispute": _dispute,
    "business": _business_row,
}


def _given(business: Business, facts: Facts) -> dict[str, Any]:
    given: dict[str, Any] = {"amount": _text(facts, "amount") or "12.50"}
    for name in ("merchant", "description"):
        if _text(facts, name):
            given[name] = facts[name]
    account = _number(facts, "account_id")
    if account:
        if account not in business.cards:
            raise ValueError("The business has no such card.")
        given["card"] = business.cards[account]
    return given


def _turned(facts: Facts) -> str:
    amount = _text(facts, "amount") or "12.50"
    return amount.removeprefix("-") if amount.startswith("-") else f"-{amount}"


def _settled(world: PexWorld, facts: Facts) -> datetime:
    """Return `settled` (ISO with offset), or the time `days_ago` days before now, by default one day."""
    text = _text(facts, "settled")
    if text:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("settled must carry an offset, for instance 2026-05-03T14:00:00Z.")
        return moment.astimezone(UTC)
    days = _number(facts, "days_ago")
    if days is not None and not -3650 <= days <= 3650:
        raise ValueError("days_ago reaches ten years at most.")
    return world.now() - timedelta(days=1 if days is None else days)


def add_payment(world: PexWorld, facts: Facts) -> Done:
    """Add a payment to the statement `invoice_id`, by default the newest: `type`, `amount`, `days_ago`, `rejected`."""
    statement = _statement(world, facts)
    payment = business_of(world, facts).add_payment(
        statement,
        type=_text(facts, "type") or "PEXTransfer",
        amount=_text(facts, "amount") or "100.00",
        paid=_settled(world, facts),
        rejected=_flag(facts, "rejected"),
    )
    return {"payment_id": payment.payment_id, "invoice_id": statement.invoice_id}


def _statement(world: PexWorld, facts: Facts) -> Statement:
    statements, number = business_of(world, facts).statements, _number(facts, "invoice_id")
    found = statements.get(number) if number else next(reversed(statements.values()), None)
    if found is None:
        raise ValueError("The business has no such statement.")
    return found


def review(world: PexWorld, facts: Facts) -> Done:
    """Set `approval`: Approved, Rejected (with `reason`), NotReviewed, Ignored, NoReceipt."""
    business, row = row_of(world, facts)
    business.set_approval(row, _text(facts, "approval"), _text(facts, "reason") or None)
    return {"transaction_id": row.transaction_id, "approval": row.approval}


def tag(world: PexWorld, facts: Facts) -> Done:
    """Replace the tags: `tags` and `splits`, or one `tag_id` with its `value` beside the others."""
    business, row = row_of(world, facts)
    if _text(facts, "tag_id"):
        kept = {one.tag_id: one.value for one in row.tags if one.encoding == "string" and one.name != "Split"}
        value = _text(facts, "value")
        others = {tag_id: old for tag_id, old in kept.items() if tag_id != facts["tag_id"]}
        business.tag(row, {**others, facts["tag_id"]: value} if value else others)
    else:
        business.tag(
            row,
            _tags(facts),
            splits=_splits(facts),
            encoding=_encoding(facts),
        )
    return {"transaction_id": row.transaction_id, "tags": len(row.tags)}


def edit_tag(world: PexWorld, facts: Facts) -> Done:
    """Edit a tag in the dashboard: `enabled`, `deleted` and `name` of the tag itself, given `tag_id`."""
    tag = _tag(world, facts)
    for switch in ("enabled", "deleted"):
        if switch in facts:
            setattr(tag, switch, _flag(facts, switch))
    tag.name = _text(facts, "name") or tag.name
    _edited(world, tag)
    return {"tag": tag.name, "enabled": tag.enabled, "deleted": tag.deleted}


def edit_option(world: PexWorld, facts: Facts) -> Done:
    """Edit one option by hand: `do` is add, rename, show or hide; `value` says which, `name` how it is shown."""
    tag, do, value, name = _tag(world, facts), _text(facts, "do"), _text(facts, "value"), _text(facts, "name")
    others = [option for option in tag.options if option.value != value]
    if do not in ("add", "rename", "show", "hide"):
        raise ValueError("do is add, rename, show or hide.")
    if (do == "add") is (tag.option(value) is not None) or not value:
        raise ValueError("There is no such option." if do != "add" else "That value is taken, or there is none.")
    if do in ("add", "rename") and (not name or name.lower() in {option.name.lower() for option in others}):
        raise ValueError("An option needs a name no other one has.")
    if do == "hide" and not any(option.enabled for option in others):
        raise ValueError("At least one option must be enabled.")
    if do == "add":
        tag.add_option(value, name)
    else:
        tag.change_option(value, **({"name": name} if do == "rename" else {"enabled": do == "show"}))
    _edited(world, tag)
    return {"tag": tag.name, "options": len(tag.options)}


def _tag(world: PexWorld, facts: Facts) -> Tag:
    wanted = _text(facts, "tag_id")
    for business in world.businesses.values():
        if wanted in business.tags:
            return business.tags[wanted]
    raise ValueError("There is no such tag.")


def _edited(world: PexWorld, tag: Tag) -> None:
    tag.key, tag.updated = secrets.token_hex(8), world.now()


def add_receipt(world: PexWorld, facts: Facts) -> Done:
    """Add a receipt: `sample` is pdf, png or jpeg, or `content` is base64."""
    business, row = row_of(world, facts)
    content: bytes | str = _text(facts, "sample") or "pdf"
    if _text(facts, "content"):
        try:
            content = base64.b64decode(facts["content"], validate=True)
        except binascii.Error:
            raise ValueError("content must be base64.") from None
    status = _text(facts, "status") or "Loaded"
    attachment = business.add_receipt(row, content, _text(facts, "kind"), status=status)
    return {"transaction_id": row.transaction_id, "attachment_id": attachment.attachment_id}


def remove_receipt(world: PexWorld, facts: Facts) -> Done:
    business, row = row_of(world, facts)
    business.remove_receipt(row, _text(facts, "attachment_id"))
    return {"transaction_id": row.transaction_id, "receipts": len(row.attachments)}


def add_note(world: PexWorld, facts: Facts) -> Done:
    """Add a note by the cardholder, or by a system with `system`."""
    business, row = row_of(world, facts)
    text = _text(facts, "text")
    if not text:
        raise ValueError("A note needs its text.")
    note = business.add_note(row, text, system=_flag(facts, "system"))
    return {"transaction_id": row.transaction_id, "note_id": note.note_id}


def remove_note(world: PexWorld, facts: Facts) -> Done:
    """Remove the note `note_id`."""
    business, row = row_of(world, facts)
    business.remove_note(row, _number(facts, "note_id") or 0)
    return {"transaction_id": row.transaction_id, "notes": len(row.notes)}


def settle(world: PexWorld, facts: Facts) -> Done:
    """Settle a hold, for `amount` if given. The settled row has a new id."""
    business, hold = row_of(world, facts)
    if not hold.pending:
        raise ValueError("Only a pending transaction can settle.")
    row = business.settle(hold, _text(facts, "amount") or None, vanish=not _flag(facts, "keep_hold"))
    return {"transaction_id": row.transaction_id, "hold": hold.transaction_id}


def remove(world: PexWorld, facts: Facts) -> Done:
    """Let a row vanish: a hold that expires, or one PEX withdraws."""
    business, row = row_of(world, facts)
    business.remove(row)
    return {"transaction_id": row.transaction_id}


def change_admin(world: PexWorld, facts: Facts) -> Done:
    """Change `permissions` (a list), `status`, or give a new `password`, which kills the tokens."""
    admin = _admin(world, facts)
    if isinstance(facts.get("permissions"), list):
        unknown = set(facts["permissions"]) - ALL
        if unknown:
            raise ValueError(f"PEX knows no permission {', '.join(sorted(unknown))}.")
        admin.permissions = set(facts["permissions"])
    if _text(facts, "status"):
        admin.status = facts["status"]
    if _text(facts, "password"):
        admin.change_password(facts["password"])
    return {"admin": admin.username, "permissions": sorted(admin.permissions), "status": admin.status}


def make_token(world: PexWorld, facts: Facts) -> Done:
    """Make a live external token for an admin, and a launch JWT."""
    admin = chosen_admin(world, _text(facts, "admin"))
    if admin is None:
        raise ValueError("There is no such active admin.")
    return {"token": world.token(admin), "jwt": world.launch_jwt(admin)}


def make_pair(world: PexWorld, facts: Facts) -> Done:
    """Make a live OAuth pair for an admin, as a consent would."""
    admin = chosen_admin(world, _text(facts, "admin"))
    if admin is None:
        raise ValueError("There is no such active admin.")
    return grant(world, admin)


def expire_tokens(world: PexWorld, facts: Facts) -> Done:
    """End the OAuth access tokens of a business as time does; its refresh tokens stay good."""
    business, now = business_of(world, facts), world.now()
    pairs = [one for one in world.tokens.values() if one.family and one.business_id == business.business_id]
    mine = [one for one in pairs if one.expires > now]
    for token in mine:
        token.expires = now
    return {"expired": len(mine)}


def _admin(world: PexWorld, facts: Facts) -> Admin:
    for admin in world.admins():
        if _text(facts, "admin") in (f"{admin.business_id}:{admin.admin_id}", admin.username):
            return admin
    raise ValueError("There is no such admin.")


ACTIONS: dict[str, Callable[[PexWorld, Facts], Done]] = {
    "transactions": add_transaction,
    "payment": add_payment,
    "review": review,
    "tag": tag,
    "edit-tag": edit_tag,
    "edit-option": edit_option,
    "receipt": add_receipt,
    "remove-receipt": remove_receipt,
    "note": add_note,
    "remove-note": remove_note,
    "settle": settle,
    "remove": remove,
    "admin": change_admin,
    "token": make_token,
    "pair": make_pair,
    "expire-tokens": expire_tokens,
}


def listing(world: PexWorld, business: Business, newest: int = 100) -> list[Done]:
    """Return the newest rows of a business, card and business list together."""
    rows = sorted(business.transactions.values(), key=lambda row: (row.happened, row.transaction_id))
    return [
        {
            "transaction_id": row.transaction_id,
            "account_id": row.account_id,
            "happened": row.happened.isoformat(),
            "settled": row.settled.isoformat() if row.settled else None,
            "amount": str(row.amount),
            "category": row.category,
            "description": row.description,
            "merchant": row.merchant,
            "pending": row.pending,
            "decline": row.decline,
            "approval": row.approval,
            "tags": len(row.tags),
            "values": {one.tag_id: one.value for one in row.tags if isinstance(one.value, str)},
            "receipts": [one.attachment_id for one in row.attachments],
            "files": [_file(one, world.now()) for one in row.attachments],
            "notes": [{"note_id": note.note_id, "text": note.text, "system": note.system} for note in row.notes],
        }
        for row in reversed(rows[-newest:])
    ]


def payment_listing(business: Business) -> list[Done]:
    """Return every payment of a business's statements."""
    return [
        {
            "payment_id": payment.payment_id,
            "invoice_id": statement.invoice_id,
            "type": payment.type,
            "amount": str(payment.amount),
            "paid": payment.paid.isoformat(),
            "rejected": payment.rejected,
        }
        for statement in business.statements.values()
        for payment in statement.payments
    ]


def tag_listing(business: Business) -> list[Done]:
    """Return every tag of a business, the options of each in their order, hidden and disabled ones too."""
    return [
        {
            "tag_id": tag.tag_id,
            "name": tag.name,
            "type": tag.type,
            "deleted": tag.deleted,
            "options": [{"value": one.value, "name": one.name, "enabled": one.enabled} for one in tag.options],
        }
        for tag in business.tags.values()
    ]


def _file(attachment: Attachment, now: datetime) -> Done:
    digest = hashlib.sha256(attachment.content).hexdigest()
    return {"attachment_id": attachment.attachment_id, "status": attachment.status_at(now), "sha256": digest}


def _text(facts: Facts, name: str) -> str:
    value = facts.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"{name} must be a text.")
    return str(value).strip()


def _number(facts: Facts, name: str) -> int | None:
    text = _text(facts, name)
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(f"{name} must be a whole number.")
    return int(text)


def _tags(facts: Facts) -> dict[str, Any]:
    value = facts.get("tags") or {}
    if not isinstance(value, dict):
        raise ValueError("tags must be an object of tag ids and values.")
    return value


def _splits(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """Return `splits`, a list of [amount, {tag id: value}]."""
    value = facts.get("splits") or []
    if not isinstance(value, list) or not all(isinstance(one, list) and len(one) == 2 for one in value):
        raise ValueError("splits must be a list of pairs, an amount and its tags.")
    return [(_text({"amount": amount}, "amount"), _tags({"tags": tags})) for amount, tags in value]


def _encoding(facts: Facts) -> str:
    encoding = _text(facts, "split_encoding") or "string"
    if encoding not in ("string", "object"):
        raise ValueError("split_encoding is string or object.")
    return encoding


def _texts(facts: Facts, name: str) -> list[str]:
    value = facts.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} must be a list of texts.")
    return value


def _flag(facts: Facts, name: str) -> bool:
    return facts.get(name) in (True, "true", "on", "1")
