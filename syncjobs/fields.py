"""The step of a run that brings the books' values to the options of PEX tags, list by list.

A list that cannot be brought over holds up no transaction: it is counted, and told with what to do.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from connectors import registry
from connectors.models import Connection
from connectors.settings import Settings
from pexsync.accounts.tenancy import reading
from syncjobs import notices
from syncjobs.desk import Desk
from syncjobs.judge import Rules
from syncjobs.models import SyncRun
from tagging import definitions, feeds
from tagging.feeds import Source, Told
from tagging.models import Feed

TAGS_OFF = "Tags are switched off in PEX. Ask PEX support to switch them on, or switch the list off in {setup}."


def bring_over(desk: Desk, run: SyncRun) -> None:
    """Once per run and list. Coding then knows the new options.

    Raises what `desk.step` raises, and `NotAuthorized` when PEX's sign-in has ended.
    """
    lists = desk.settings.synced
    if desk.rules is None or not (lists or run.fields_told):
        notices.over(desk.connection, notices.TAGS)  # whatever it was about, nobody wants it any more
        return
    told = [list_ for list_ in run.fields_told if lists.get(list_["field"]) == list_["tag_id"]]
    _progress(desk, len(lists), told)
    fed_by_others = _fed_by_others(desk)
    for key, tag_id in lists.items():
        if any(list_["field"] == key for list_ in told):
            continue
        desk.step()
        told.append(_one(desk, desk.rules, key, tag_id, fed_by_others).stored())
        _progress(desk, len(lists), told)
    with reading(desk.business.pk):
        tags = definitions.usable(desk.business)
    desk.rules = replace(desk.rules, book=replace(desk.rules.book, tags=tags))
    _tell(desk.connection, told)


def _progress(desk: Desk, due: int, told: list[dict[str, Any]]) -> None:
    done = sum(list_["state"] == Feed.State.DONE for list_ in told)
    desk.progress(fields_due=due, fields_done=done, fields_told=list(told))


def _one(desk: Desk, rules: Rules, key: str, tag_id: str, fed_by_others: dict[str, str]) -> Told:
    book = rules.book
    asked = next((field for field in book.fields if field.key == key and field.can_sync), None)
    label = asked.label if asked else "A field"
    known = book.tags.get(tag_id)
    setup = registry.ALL[desk.connection.system].setup_page
    failed = Told(key, label, tag_id, known.name if known else "", Feed.State.FAILED, mend=f"synced:{key}")
    if not book.tags_enabled:
        return replace(failed, says=TAGS_OFF.format(setup=setup))
    if asked is None:
        return replace(failed, says=f"{book.label} no longer has the field this tag got its options from.")
    if feeder := fed_by_others.get(tag_id) or _fed_here(rules.settings, key, tag_id):
        return replace(failed, says=f"The PEX tag {failed.tag} gets its options from {feeder} already. Choose another.")
    choices = book.choices[asked.list_name]
    source = Source(
        system=desk.connection.system,
        field=key,
        label=label,
        books=book.label,
        values=list(choices.by_id.values()),
        stands_for=choices.match,
        setup_page=setup,
    )
    return feeds.update(desk.business, desk.pex, tag_id, source)


def _fed_by_others(desk: Desk) -> dict[str, str]:
    """Tags that get their options from another connection of this business, and from which system."""
    with reading(desk.business.pk):
        others = Connection.objects.filter(business_id=desk.business.pk).exclude(pk=desk.connection.pk)
        return {
            tag: registry.ALL[each.system].label if each.system in registry.ALL else each.system
            for each in others.exclude(state=Connection.State.INSTALLED)
            for tag in Settings.parse(each.settings).synced.values()
        }


def _fed_here(settings: Settings, key: str, tag_id: str) -> str:
    """Another field that feeds the same tag, where it comes first; "" where there is none."""
    first = next(each for each, tag in settings.synced.items() if tag == tag_id)
    return "" if first == key else "another field"


def _tell(connection: Connection, told: Iterable[dict[str, Any]]) -> None:
    """People are told of lists that only they can mend, not of those that are tried again by themselves."""
    troubles = [list_ for list_ in told if list_["state"] != Feed.State.DONE and not list_["passing"]]
    if not troubles:
        notices.over(connection, notices.TAGS)
        return
    more = f" {len(troubles) - 1} more could not be updated." if len(troubles) > 1 else ""
    notices.tell(connection, notices.TAGS, f"{troubles[0]['label']}: {troubles[0]['says']}{more}")
