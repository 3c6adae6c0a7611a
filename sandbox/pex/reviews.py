"""Approving, rejecting and resetting card transactions."""

from sandbox.pex.asks import Ask, Refused, Reply, reply


def approve(ask: Ask) -> Reply:
    """POST Approval/{transactionId}/Approve"""
    return _reviewed(ask, "Approved")


def reject(ask: Ask) -> Reply:
    """POST Approval/{transactionId}/Reject"""
    return _reviewed(ask, "Rejected", ask.fields().text("Reason", default=""))


def reset(ask: Ask) -> Reply:
    """POST Approval/{transactionId}/Reset"""
    return _reviewed(ask, "NotReviewed")


def _reviewed(ask: Ask, approval: str, reason: str | None = None) -> Reply:
    row = ask.row()
    if row.approval is None:
        raise Refused(400, "Transaction is not subject to review")
    ask.business.set_approval(row, approval, reason)
    return reply(
        {
            "State": row.approval,
            "Reason": row.reason,
            "ApprovalId": row.approval_id,
            "MetadataId": row.transaction_id,
            "TransactionRelationshipId": row.relationship_id,
            "MetadataType": "Transaction",
            "BusinessId": row.business_id,
        }
    )
