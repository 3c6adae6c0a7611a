"""The settings of a connection in words, in short, as the sync page says them. Pure.

Names from the books are those they had when the settings were saved: "option:<field>:<id>", "tag:<id>".
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from connectors.records import ACCOUNT, PARTY, Kind
from connectors.settings import ONE_PARTY, TAG, FieldSource, Settings

CHOSEN = "Chosen"  # where nobody kept the name


def summary(settings: Settings, names: Mapping[str, str], kinds: Sequence[Kind]) -> list[tuple[str, str]]:
    """Label and words of each setting; `kinds` are those the connector knows, in its order."""
    return [
        ("Sync", _kinds(settings, kinds)),
        ("Start Date", _said(settings.start_date) if settings.start_date else "Two months back"),
        ("End Date", _said(settings.end_date) if settings.end_date else "Date of sync"),
        *_accounts(settings, names),
        *_of_purchases(settings, names),
        *_contacts(settings, names),
    ]


def _kinds(settings: Settings, kinds: Sequence[Kind]) -> str:
    words = [f"{kind.label}s" for kind in kinds if kind in settings.kinds]
    if settings.approved_only and Kind.PURCHASE in settings.kinds:
        words[words.index("purchases")] = "purchases (approved only)"
    return ", ".join(words).capitalize()


def _accounts(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    labels = {Kind.FEE: "Fee account", Kind.REBATE: "Income account"}
    for kind in (Kind.TRANSFER, Kind.BILL_PAYMENT):
        if kind in settings.kinds:
            yield "Source Cash", _option(names, ACCOUNT, settings.source(kind, ACCOUNT).value)
    yield "PEX account", _option(names, "pex_account", settings.pex_account)
    if Kind.PURCHASE in settings.kinds:
        yield "Expense account", _source(names, ACCOUNT, settings.source(Kind.PURCHASE, ACCOUNT))
    for kind, label in labels.items():
        if kind in settings.kinds:
            yield label, _option(names, ACCOUNT, settings.source(kind, ACCOUNT).value)


def _of_purchases(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, source in settings.fields.items():
        if key != ACCOUNT and Kind.PURCHASE in settings.kinds:
            yield names.get(f"field:{key}", "Field"), _source(names, key, source)
    if settings.synced:
        fields = [names.get(f"field:{key}", "a field") for key in settings.synced]
        yield "Synced to tags", ", ".join(fields)
    if Kind.PURCHASE in settings.kinds:
        late = ", also those added later" if settings.late_receipts else ""
        yield "Attachments", f"Every receipt{late}" if settings.receipts else "Off"


def _contacts(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if Kind.PURCHASE in settings.kinds:
        one = settings.party_mode == ONE_PARTY
        yield "Contact", _option(names, PARTY, settings.party) if one else "One for each merchant"
    for kind in (Kind.FEE, Kind.REBATE):
        if kind in settings.kinds:
            yield f"Contact of {kind.label}s", _option(names, PARTY, settings.source(kind, PARTY).value)


def _source(names: Mapping[str, str], key: str, source: FieldSource) -> str:
    if source.source != TAG:
        return _option(names, key, source.value)
    tag = f"PEX Tag: {names.get(f'tag:{source.tag}') or names.get(f'{key}_tag', 'chosen')}"
    return f"{tag}, else {_option(names, key, source.default)}" if source.default else tag


def _option(names: Mapping[str, str], key: str, option: str) -> str:
    """Settings saved long ago kept their names by the key alone."""
    return names.get(f"option:{key}:{option}") or names.get(key) or CHOSEN


def _said(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
