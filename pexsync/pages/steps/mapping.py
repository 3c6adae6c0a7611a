"""Mapping tables: which value of the books, or which PEX tag, fills each field of an entry."""

from dataclasses import dataclass

from django import forms


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One row of Field, Map, Type, Mapping, Default; `default` only where a tag may be missing."""

    label: str
    mapped: forms.BoundField
    source: forms.BoundField
    default: forms.BoundField | None
    type: str
    required: bool
    default_text: str = ""
    no_tags: str = ""
    note: str = ""
    error: str = ""
