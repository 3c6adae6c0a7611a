"""What a connection's settings say: one reading of the stored JSON, shared by forms, judge and connectors. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

from connectors.records import Kind

STATIC, TAG = "static", "tag"
ONE_PARTY, PER_MERCHANT = "one", "merchant"
SETTLEMENT, PURCHASE_DAY = "settlement", "purchase"


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field's value comes from: one static option id, or a PEX tag with an optional default option id."""

    source: str = STATIC
    value: str = ""
    tag: str = ""
    default: str = ""

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            source=stored.get("source", STATIC),
            value=stored.get("value", ""),
            tag=stored.get("tag", ""),
            default=stored.get("default", ""),
        )

    def stored(self) -> dict[str, str]:
        return {"source": self.source, "value": self.value, "tag": self.tag, "default": self.default}


@dataclass(frozen=True, slots=True)
class Settings:
    kinds: frozenset[Kind] = frozenset()
    approved_only: bool = True
    start_date: date | None = None
    end_date: date | None = None
    posting_date: str = SETTLEMENT
    pex_account: str = ""  # option id of the PEX account in the books
    party_mode: str = PER_MERCHANT
    party: str = ""  # option id of the one party, where party_mode is ONE_PARTY
    clean_names: bool = True
    receipts: bool = True
    late_receipts: bool = True  # also those people add in PEX after the purchase was posted
    bill_pay: bool = False  # card charges that paid a bill through bill pay are sent too
    fields: Mapping[str, FieldSource] = field(default_factory=dict)  # of purchases, by Field.key
    by_kind: Mapping[Kind, Mapping[str, str]] = field(default_factory=dict)  # of the others: Field.key -> option id
    synced: Mapping[str, str] = field(default_factory=dict)  # Field.key -> id of the PEX tag that gets its options
    extra: Mapping[str, Any] = field(default_factory=dict)  # what only this system has

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:
        """Read stored settings; what is missing has its default, unknown members are left alone."""
        return cls(
            kinds=frozenset(Kind(kind) for kind in stored.get("kinds", ())),
            approved_only=stored.get("approved_only", True),
            start_date=_day(stored.get("start_date")),
            end_date=_day(stored.get("end_date")),
            posting_date=stored.get("posting_date", SETTLEMENT),
            pex_account=stored.get("pex_account", ""),
            party_mode=stored.get("party_mode", PER_MERCHANT),
            party=stored.get("party", ""),
            clean_names=stored.get("clean_names", True),
            receipts=stored.get("receipts", True),
            late_receipts=stored.get("late_receipts", True),
            bill_pay=stored.get("bill_pay", False),
            fields={key: FieldSource.parse(source) for key, source in stored.get("fields", {}).items()},
            by_kind={Kind(kind): dict(chosen) for kind, chosen in stored.get("by_kind", {}).items()},
            synced=dict(stored.get("synced", {})),
            extra=stored.get("extra", {}),
        )

    def source(self, kind: Kind, key: str) -> FieldSource:
        """Where a field of one kind comes from; only purchases carry tags."""
        if kind is Kind.PURCHASE:
            return self.fields.get(key, FieldSource())
        return FieldSource(value=self.by_kind.get(kind, {}).get(key, ""))

    def stored(self) -> dict[str, Any]:
        return {
            "kinds": sorted(kind.value for kind in self.kinds),
            "approved_only": self.approved_only,
            "start_date": self.start_date.isoformat() if self.start_date else "",
            "end_date": self.end_date.isoformat() if self.end_date else "",
            "posting_date": self.posting_date,
            "pex_account": self.pex_account,
            "party_mode": self.party_mode,
            "party": self.party,
            "clean_names": self.clean_names,
            "receipts": self.receipts,
            "late_receipts": self.late_receipts,
            "bill_pay": self.bill_pay,
            "fields": {key: source.stored() for key, source in self.fields.items()},
            "by_kind": {kind.value: dict(chosen) for kind, chosen in self.by_kind.items()},
            "synced": dict(self.synced),
            "extra": dict(self.extra),
        }


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
