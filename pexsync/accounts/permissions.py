"""PEX's permissions that matter here, with the words of the PEX dashboard. Pure."""

from enum import Enum


class Permission(Enum):
    """The value is PEX's name on the wire (pex-api 2.3)."""

    EDIT_BUSINESS = "EditBusinessProfile"
    MANAGE_CARDHOLDER = "ManageCardholder"
    VIEW_TRANSACTIONS = "ViewCardTransactions"
    EDIT_NOTES = "ModifyTransactionNotes"

    @property
    def label(self) -> str:
        return LABELS[self]


LABELS = {
    Permission.EDIT_BUSINESS: "Edit business settings & apps",
    Permission.MANAGE_CARDHOLDER: "Manage cardholder",
    Permission.VIEW_TRANSACTIONS: "View card transactions",
    Permission.EDIT_NOTES: "Modify transaction notes",
}

# What a person needs to install and run a connector; the last one because every posted purchase gets a note.
CONNECTOR = (
    Permission.EDIT_BUSINESS,
    Permission.MANAGE_CARDHOLDER,
    Permission.VIEW_TRANSACTIONS,
    Permission.EDIT_NOTES,
)
