"""Connections: which organisations a person connected to the app."""

import json
import re
from datetime import datetime
from typing import Any

from sandbox.xero.answers import Answer, not_found, plain
from sandbox.xero.door import Sent
from sandbox.xero.world import Access, Connection, XeroWorld


def serve(world: XeroWorld, access: Access, sent: Sent) -> Answer:
    """List the connections of the token's person, or end the one whose own id is given."""
    mine = world.connections_of(access.client_id, access.user_id)
    if len(sent.path) == 1 and sent.method == "GET":
        event = sent.query.get("autheventid", "").lower()
        shown = [_connection(one) for one in mine if event in ("", one.auth_event_id)]
        return Answer(200, json.dumps(shown).encode())
    if len(sent.path) == 2 and sent.method == "DELETE":
        found = next((one for one in mine if one.id == sent.path[1].lower()), None)
        if found is None:
            return not_found()
        del world.connections[found.id]
        return Answer(204)
    return plain(405, "Method Not Allowed") if len(sent.path) <= 2 else not_found()


def _connection(one: Connection) -> dict[str, Any]:
    return {
        "id": one.id,
        "authEventId": one.auth_event_id,
        "tenantId": one.tenant_id,
        "tenantType": one.tenant_type,
        "tenantName": one.tenant_name,
        "createdDateUtc": _seven_decimals(one.created),
        "updatedDateUtc": _seven_decimals(one.updated),
    }


def _seven_decimals(moment: datetime) -> str:
    return re.sub(r"\+.*", "", moment.isoformat(timespec="microseconds")) + "0"
