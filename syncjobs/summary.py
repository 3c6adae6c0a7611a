"""The settings of a connection in words, in short, as the sync page says them. Pure.

Names from the books are those they had when the settings were saved: "option:<field>:<id>", "tag:<id>".
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from connectors.records import ACCOUNT, PARTY, Kind, field_name
from connectors.settings import ONE_PARTY, PURCHASE_DAY, TAG, FieldSource, Settings

CHOSEN = "Chosen"  # where nobody kept the name


def summary(settings: Settings, names: Mapping[str, str], kinds: Sequence[Kind]) -> list[tuple[str, str]]:
    """Label and words of each setting; `kinds` are those the connector knows, in its order."""
    return [
        ("Sync", _kinds(settings, kinds)),
        ("Start Date", _said(settings.start_date) if settings.start_date else "Two months back"),
        ("End Date", _said(settings.end_date) if settings.end_date else "Date of sync"),
        *_accounts(settings, names),
        *_of_purchases(settings, names),
        *_parties(settings, names),
        *_of_other_kinds(settings, names),
        *_own(settings, names),
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
            yield (
                names.get(f"field:{field_name(kind, ACCOUNT)}", "Source Cash"),
                _option(names, ACCOUNT, settings.source(kind, ACCOUNT).value),
            )
    yield "PEX account", _option(names, "pex_account", settings.pex_account)
    if Kind.PURCHASE in settings.kinds:
        yield "Expense account", _source(names, ACCOUNT, settings.source(Kind.PURCHASE, ACCOUNT))
    for kind, label in labels.items():
        if kind in settings.kinds:
            yield label, _option(names, ACCOUNT, settings.source(kind, ACCOUNT).value)


def _of_purchases(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, source in settings.fields.items():
        if key not in (ACCOUNT, PARTY) and Kind.PURCHASE in settings.kinds:
            yield names.get(f"field:{key}", "Field"), _source(names, key, source)
    if settings.synced:
        fields = [names.get(f"field:{key}", "a field") for key in settings.synced]
        yield "Synced to tags", ", ".join(fields)
    if Kind.PURCHASE in settings.kinds:
        late = ", also those added later" if settings.late_receipts else ""
        yield "Attachments", f"Every receipt{late}" if settings.receipts else "Off"
        yield "Posting date", "Purchase date" if settings.posting_date == PURCHASE_DAY else "Settlement date"


def _parties(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Whom purchases are booked against, and what else is asked that for, in the word of the books."""
    if Kind.PURCHASE in settings.kinds:
        yield names.get(f"field:{PARTY}", "Contact"), _party(settings, names)
    for kind in (Kind.FEE, Kind.REBATE):
        asked = PARTY in settings.by_kind.get(kind, {}) or f"field:{field_name(kind, PARTY)}" in names
        if kind in settings.kinds and asked:
            label = names.get(f"field:{field_name(kind, PARTY)}", "Contact")
            yield f"{label} of {kind.label}s", _option(names, PARTY, settings.source(kind, PARTY).value)


def _party(settings: Settings, names: Mapping[str, str]) -> str:
    if settings.party_mode != ONE_PARTY:
        return "One for each merchant"
    source = settings.fields.get(PARTY)
    if source is not None:
        return _source(names, PARTY, source)
    # Where a table of mappings asks for it, it may be left empty.
    return _option(names, PARTY, settings.party) if settings.party or f"field:{PARTY}" not in names else "None"


def _of_other_kinds(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What all transactions of a kind carry, beside their account and whom they are booked against."""
    for kind, chosen in settings.by_kind.items():
        for key, option in chosen.items():
            if kind in settings.kinds and option and key not in (ACCOUNT, PARTY):
                label = names.get(f"field:{field_name(kind, key)}", "Field")
                yield f"{label} of {kind.label}s", _option(names, key, option)


def _own(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What only one system asks."""
    for name, value in settings.extra.items():
        label = names.get(f"extra:{name}")
        words = ("On" if value else "Off") if isinstance(value, bool) else names.get(f"extra:{name}:{value}")
        if label and words:
            yield label, words


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
