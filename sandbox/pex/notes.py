"""Notes of transactions. A note is found only with the right `Pending` flag."""

from dataclasses import replace
from datetime import timedelta

from sandbox.pex.asks import EMPTY, Ask, Fields, Refused, Reply, reply
from sandbox.pex.records import Note, Transaction


def add(ask: Ask) -> Reply:
    """POST Note"""
    sent = ask.fields()
    row = ask.business.transactions.get(sent.integer("TransactionId"))
    if row is None or row.pending != sent.flag("Pending"):
        raise Refused(403, "Transaction not found")
    return _added(ask, sent, [row])


def add_to_network(ask: Ask) -> Reply:
    """POST Note/NetworkTransactionNote: the note stays with the purchase from hold to settlement"""
    sent = ask.fields()
    number = sent.integer("NetworkTransactionId")
    return _added(ask, sent, [row for row in ask.business.card_rows() if row.network_id == number])


def add_to_relationship(ask: Ask) -> Reply:
    """POST Note/TransactionRelationshipNote"""
    sent = ask.fields()
    number = sent.integer("TransactionRelationshipId")
    rows = [row for row in ask.business.card_rows() if number and row.relationship_id == number]
    return _added(ask, sent, rows)


def _added(ask: Ask, sent: Fields, rows: list[Transaction]) -> Reply:
    if not rows:
        raise Refused(403, "Transaction not found")
    delay = ask.world.switches.note_delay
    note = Note(
        note_id=ask.world.next_id("note", 550_001),
        text=_text(ask, sent),
        author=ask.admin.person,
        at=ask.now,
        system=sent.flag("SystemGenerated"),
        visible_to_cardholder=sent.flag("VisibleToCardholder"),
        shows_from=ask.now + timedelta(seconds=delay) if delay else None,
    )
    for row in rows:
        row.notes = (*row.notes, note)
    return reply({"Id": note.note_id})


def change(ask: Ask) -> Reply:
    """PUT Note/{noteId}"""
    sent = ask.fields()
    text, number = _text(ask, sent), ask.number("note")
    for row in _holding(ask, number, sent.flag("Pending")):
        row.notes = tuple(
            replace(note, text=text, edited_by=ask.admin.person, edited_at=ask.now) if note.note_id == number else note
            for note in row.notes
        )
    return EMPTY


def remove(ask: Ask) -> Reply:
    """DELETE Note/{noteId}, with a JSON body"""
    for row in _holding(ask, ask.number("note"), ask.fields().flag("Pending")):
        ask.business.remove_note(row, ask.number("note"))
    return EMPTY


def _holding(ask: Ask, number: int, pending: bool) -> list[Transaction]:
    rows = [
        row
        for row in list(ask.business.transactions.values())
        if row.pending == pending and any(note.note_id == number for note in row.notes)
    ]
    if not rows:
        raise Refused(403, "Note not found")
    return rows


def _text(ask: Ask, sent: Fields) -> str:
    text = sent.text("NoteText")
    longest = ask.world.switches.note_length
    if len(text) > longest:
        raise Refused(400, f"NoteText must not be longer than {longest} characters")
    if not text.strip():
        raise Refused(400, "NoteText is required and must be a text.")
    return text
