"""documentAttachments: the other API for files. It has no place for journals, which is all the sandbox holds."""

from typing import Any

from sandbox.dynamics365 import members as read
from sandbox.dynamics365.attachments import PARENT_TYPES
from sandbox.dynamics365.company import Company
from sandbox.dynamics365.records import Attachment, Record
from sandbox.dynamics365.values import refused

WRITABLE = frozenset({"fileName", "parentId", "parentType", "lineNumber"})
READ_ONLY = frozenset({"id", "byteSize", "lastModifiedDateTime", "attachmentContent"})


def rows(company: Company, parent: Record | None) -> list[Attachment]:
    return []


def shown(company: Company, record: Attachment) -> dict[str, Any]:
    raise NotImplementedError("No document attachment can be made.")


def create(company: Company, parent: Record | None, body: dict[str, Any]) -> Attachment:
    """Raises Refused whatever is sent."""
    kind = read.member("parentType", body.get("parentType", "Journal" if parent else " "), PARENT_TYPES)
    raise refused(f"The selected Document type {kind} is not supported.")
