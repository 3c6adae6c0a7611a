"""A transaction as a row of the `Details` lists."""

from datetime import datetime
from typing import Any

from sandbox.pex.eastern import wall
from sandbox.pex.records import ABSENT, Note, Person, Share, TagValue, Transaction
from sandbox.pex.text import Raw, dumps
from sandbox.pex.world import Switches


def row_text(row: Transaction, switches: Switches, now: datetime) -> str:
    """Return the row's JSON; remembered on the row until it changes."""
    if any(note.shows_from is not None and note.shows_from > now for note in row.notes):
        return dumps(row_json(row, switches, now))
    style = (switches.nulls, switches.empty_notes, switches.unknown_fields, switches.unknown_values)
    cached: tuple[Any, str] | None = row.__dict__["cache"]
    if cached is None or cached[0] != style:
        cached = row.__dict__["cache"] = (style, dumps(row_json(row, switches, now)))
    return cached[1]


def row_json(row: Transaction, switches: Switches, now: datetime) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "TransactionId": row.transaction_id,
        "AcctId": row.account_id or row.business_id,
        "TransactionTime": row.times[0],
        "MerchantLocalTime": row.times[0] if row.merchant else None,
        "HoldTime": wall(row.held) if row.held and not row.decline else None,
        "SettlementTime": row.times[1] if row.settled else None,
        "AuthTransactionId": row.auth_id,
        "NetworkTransactionId": row.network_id,
        "TransactionAmount": row.amount,
        "PaddingAmount": row.padding,
        "TransactionType": row.type,
        "TransactionTypeCategory": row.category,
        "Description": row.description,
        "IsPending": row.pending,
        "IsDecline": row.decline,
        "MerchantName": row.merchant,
        "MerchantNameNormalized": row.merchant_normalized,
        "MerchantUrl": row.merchant_url,
        "MerchantLogoUrl": None,
        "MerchantIconUrl": None,
        "MerchantCity": row.merchant_city,
        "MerchantState": row.merchant_state,
        "MerchantZip": row.merchant_zip,
        "MerchantCountry": row.merchant_country,
        "MCCCode": row.mcc,
        "MerchantId": row.merchant_id,
        "TerminalId": row.terminal_id,
        "AuthIdentityResponseCode": row.response_code,
        "TransferToOrFromAccountId": row.other_account_id,
        "SourceCurrencyCodeDescription": row.currency,
        "SourceCurrencyNumericCode": row.currency_number,
        "SourceAmount": row.source_amount,
        "TransactionNotes": _notes(row, switches, now),
        "TransactionTags": _tags(row),
        "MetadataApprovalStatus": row.approval,
    }
    if switches.unknown_fields:
        facts["SettlementBatch"] = {"Sequence": row.transaction_id % 97, "Lane": None}
    if switches.unknown_values and row.approval == "NotReviewed":
        facts["MetadataApprovalStatus"] = "AwaitingSecondReview"
    facts.update(row.overrides)
    return {
        name: value
        for name, value in facts.items()
        if value is not ABSENT and not (value is None and switches.nulls == "omit")
    }


def _notes(row: Transaction, switches: Switches, now: datetime) -> list[dict[str, Any]] | None:
    shown = [note for note in row.notes if note.shows_from is None or note.shows_from <= now]
    if not shown and switches.empty_notes == "null":
        return None
    return [note_json(note) for note in shown]


def note_json(note: Note) -> dict[str, Any]:
    editor = note.edited_by
    return {
        "NoteId": note.note_id,
        "NoteText": note.text,
        **_named(note.author, ""),
        "NoteDate": wall(note.at),
        **(_named(editor, "Updated") if editor else dict.fromkeys(_named(note.author, "Updated"))),
        "UpdatedDate": wall(note.edited_at) if note.edited_at else None,
        "SystemGenerated": note.system,
    }


def _named(person: Person, prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}UserName": person.username,
        f"{prefix}UserFirstName": person.first,
        f"{prefix}UserMiddleName": None,
        f"{prefix}UserLastName": person.last,
    }


def _tags(row: Transaction) -> dict[str, Any] | None:
    if not row.tag_state:
        return None
    values = [{"FieldId": one.tag_id, "Value": _listed(one), "Name": one.name} for one in row.tags]
    return {"Tags": values, "State": row.tag_state, "FieldsVersion": row.fields_version}


def _listed(value: TagValue) -> Any:
    """Return a tag value as the lists show it: a split as JSON inside a text, or as an object."""
    share = value.value
    if not isinstance(share, Share):
        return share
    if value.encoding == "object":
        return share_json(value.tag_id, share)
    return dumps({**share_json(value.tag_id, share), "Amount": str(share.amount)})


def share_json(tag_id: str, share: Share) -> dict[str, Any]:
    inner = [{"TagId": inner_id, "Value": inner_value} for inner_id, inner_value in share.values]
    return {"TagId": tag_id, "Allocation": inner, "Amount": share.amount}


def envelope(texts: list[str], pages: dict[str, Any]) -> Raw:
    return Raw(f'{{"TransactionList":[{",".join(texts)}],"Pages":{dumps(pages)}}}')
