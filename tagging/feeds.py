"""Bringing the books' values of one field to the options of one PEX tag: plan, write, look whether it was done.

PEX replaces a dropdown as a whole, so all its options are read right before, those too that are hidden from the group
of whoever's sign-in this is. What a person changes meanwhile wins: the plan is then made anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings

from connectors.errors import ConnectorError, NoAnswer, NotReached, RetryLater
from connectors.pex import mapping
from connectors.pex.client import PexClient, TokenDead
from connectors.pex.mapping import TagDefinition, TagOption
from connectors.records import DROPDOWN, Option
from pexsync import clock
from pexsync.accounts.models import Business, User
from pexsync.accounts.tenancy import reading, scope
from tagging import definitions, options
from tagging.models import Feed, Tag
from tagging.options import EMPTY, Most, Plan, StandsFor

TRIES = 3
SHOWN = 20  # names told of each change
OURS = (
    "system",
    "field",
    "memory",
    "intended",
    "unlisted",
    "state",
    "says",
    "counts",
    "twins",
    "unfit",
    "going",
    "changed_at",
    "looked_at",
)  # the columns a sync writes
AGAIN = "It is tried again with the next sync."


@dataclass(frozen=True, slots=True)
class Source:
    """One field of the books and its values. `books` is the system's name for people."""

    system: str
    field: str
    label: str
    books: str
    values: Sequence[Option]
    stands_for: StandsFor
    setup_page: str = "Setup"  # where a list gets its tag


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one list in one sync. Of each change the number, and the first names."""

    field: str
    label: str
    tag_id: str
    tag: str = ""
    state: str = Feed.State.DONE
    says: str = ""
    mend: str = ""  # the field of the settings that mends it
    passing: bool = False  # the next sync may well succeed, and nobody need do anything
    changes: Mapping[str, Any] | None = None  # "added", "renamed", ... -> {"count", "names"}

    def stored(self) -> dict[str, Any]:
        return {
            "field": self.field,
            "label": self.label,
            "tag_id": self.tag_id,
            "tag": self.tag,
            "state": str(self.state),
            "says": self.says,
            "mend": self.mend,
            "passing": self.passing,
            **(self.changes or {}),
        }


class _Failed(Exception):
    """This list cannot be brought over now; the message says why."""


def most() -> Most:
    return Most(length=settings.PEX_TAG_LENGTH, options=settings.PEX_TAG_OPTIONS)


def update(business: Business, pex: PexClient, tag_id: str, source: Source) -> Told:
    """Bring one list over. A list without a difference costs no call; what hinders it is told, not raised.

    Raises `NotAuthorized` only when PEX's sign-in has ended. Never inside a transaction.
    """
    with reading(business.pk):
        tag = Tag.objects.filter(business=business, tag_id=tag_id).first()
        feed = Feed.objects.filter(business=business, tag_id=tag_id).first() or Feed(business=business, tag_id=tag_id)
    told = Told(source.field, source.label, tag_id, tag.name if tag else "")
    problem = unusable(tag, source.label, source.setup_page)
    if tag is None or problem:
        return _note(feed, source, replace(told, state=Feed.State.FAILED, says=problem, mend=f"synced:{source.field}"))
    try:
        plan = _carry_over(business, pex, tag, feed, source)
    except TokenDead:
        raise
    except (ConnectorError, _Failed, NotReached) as error:
        passing = isinstance(error, RetryLater | NotReached | _Failed)
        says = f"{error} {AGAIN}" if passing else str(error)
        return _note(feed, source, replace(told, state=Feed.State.FAILED, says=says, passing=passing))
    return _note(feed, source, _told(told, plan, source), plan)


def unusable(tag: Tag | None, label: str, setup: str) -> str:
    """Why a tag cannot get options, a sentence; "" when it can."""
    if tag is None:
        return f"The PEX tag chosen for {label} is gone. Choose another in {setup}."
    if tag.deleted:
        return f"The PEX tag {tag.name}, chosen for {label}, was deleted. Choose another in {setup}."
    if not tag.enabled:
        return f"The PEX tag {tag.name} is switched off. Switch it on in PEX, or choose another for {label} in {setup}."
    if tag.type != DROPDOWN:
        return f"The PEX tag {tag.name} is no dropdown, and only dropdowns have options. Choose another in {setup}."
    return ""


def look(tag: Tag, feed: Feed | None, source: Source) -> Plan:
    """What the next sync would do to a tag as we know it. Asks nobody and changes nothing."""
    feed = feed or Feed()
    return _plan(known(tag, feed), feed, source)


def allow(feed: Feed, by: User) -> None:
    """A person agrees that what is held now is switched off. Call it in a scope."""
    Feed.objects.filter(pk=feed.pk).update(allowed=feed.going, allowed_by=by, allowed_at=clock.now())


# --- one list ---------------------------------------------------------------------------------------------------------


def _carry_over(business: Business, pex: PexClient, tag: Tag, feed: Feed, source: Source) -> Plan:
    """Return what was done, or what is held. What PEX listed says whether there is anything to do at all."""
    feed.memory = _settled(known(tag, feed), feed)
    plan = _plan(known(tag, feed), feed, source)
    if not plan.changes:
        _remember(feed, plan)
        return plan
    done: list[Plan] = []
    for attempt in range(TRIES + 1):
        given = pex.tag(tag.tag_id)
        definition = mapping.tag(given) if given else None
        if given is None or definition is None or definition.deleted or definition.type != DROPDOWN:
            raise _Failed(f"The PEX tag {tag.name} was changed while its options were brought over.")
        if not attempt:
            feed.unlisted = _unlisted(tag, definition)
        feed.memory = _settled(definition.options, feed)
        plan = _plan(definition.options, feed, source)
        if not plan.changes:
            _remember(feed, plan)
            definitions.changed(business, definition)
            return _joined(plan, done)
        if attempt < TRIES:
            _intend(feed, source, plan)
            if _write(pex, tag.tag_id, mapping.dropdown(given, plan.options)):
                done.append(plan)
    raise _Failed(f"The PEX tag {tag.name} did not keep its options, however often they were sent.")


def _write(pex: PexClient, tag_id: str, body: mapping.JSON) -> bool:
    """Whether it may have been done: without an answer nobody knows, and reading again tells."""
    try:
        return pex.replace_dropdown(tag_id, body)
    except NoAnswer:
        return True


def _plan(current: Sequence[TagOption], feed: Feed, source: Source) -> Plan:
    memory, allowed = options.remembered(feed.memory), frozenset(feed.allowed)
    return options.plan(current, source.values, memory, source.stands_for, most(), allowed)


def known(tag: Tag, feed: Feed) -> list[TagOption]:
    """The options as listed, and those PEX does not list but gave us before."""
    listed = {value for value, *_ in tag.options}
    feed.unlisted = [row for row in feed.unlisted if row[0] not in listed]
    return [TagOption(*row) for row in [*tag.options, *feed.unlisted]]


def _unlisted(tag: Tag, definition: TagDefinition) -> list[list[Any]]:
    """What PEX keeps from its list of tags: options of other groups. Compare before anything was written."""
    listed = {value for value, *_ in tag.options}
    return [[one.value, one.name, one.enabled] for one in definition.options if one.value not in listed]


def _settled(current: Iterable[TagOption], feed: Feed) -> dict[str, Any]:
    """The memory, once what was under way is known."""
    before, meant = options.remembered(feed.memory), options.remembered(feed.intended)
    return options.to_store(options.settled(current, before, meant))


def _intend(feed: Feed, source: Source, plan: Plan) -> None:
    """Before the first byte leaves: whoever comes after a crash must know what we meant to switch off."""
    feed.system, feed.field = source.system, source.field
    feed.intended = options.to_store(plan.memory)
    _save(feed)


def _remember(feed: Feed, plan: Plan) -> None:
    feed.memory, feed.intended = options.to_store(plan.memory), {}


def _joined(last: Plan, done: Sequence[Plan]) -> Plan:
    """What was done in all, where somebody's change made it take several writes."""
    if not done:
        return last
    return replace(
        last,
        added=_all(plan.added for plan in done),
        renamed=tuple(dict.fromkeys(pair for plan in done for pair in plan.renamed)),
        disabled=_all(plan.disabled for plan in done),
        enabled=_all(plan.enabled for plan in done),
    )


def _all(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))


# --- what is told and kept --------------------------------------------------------------------------------------------


def _told(told: Told, plan: Plan, source: Source) -> Told:
    state = Feed.State.HELD if plan.held else Feed.State.FAILED if plan.over else Feed.State.DONE
    return replace(told, state=state, says=sentence(plan, source), changes=changes(plan))


def changes(plan: Plan) -> dict[str, Any]:
    """Of each change the number and the first names."""
    return {
        "added": _counted(plan.added),
        "renamed": _counted(f"{before} → {after}" for before, after in plan.renamed),
        "disabled": _counted(plan.disabled),
        "enabled": _counted(plan.enabled),
    }


def counts(plan: Plan, source: Source, present: Sequence[TagOption]) -> dict[str, int]:
    """Active values in the books, options in PEX, those switched on, and those a person switched off."""
    return {
        "books": sum(value.active for value in source.values),
        "pex": len(present),
        "enabled": sum(option.enabled for option in present),
        "hidden": plan.hidden,
    }


def _counted(names: Iterable[str]) -> dict[str, Any]:
    found = list(names)
    return {"count": len(found), "names": found[:SHOWN]}


def sentence(plan: Plan, source: Source, future: bool = False) -> str:
    """What a plan did, or would do, with what could not be done and why."""
    if plan.held == EMPTY:
        return (
            f"{source.books} gave no active value of {source.label}, so nothing {_is(future)} changed. "
            f"Look in {source.books} whether they are really gone."
        )
    if plan.held:
        return (
            f"{source.books} no longer names {len(plan.going):,} values of {source.label} that have options in PEX. "
            f"That looks like trouble in {source.books}, so nothing {_is(future)} changed."
        )
    return " ".join([_done(plan, future), *_left(plan, source)])


def _is(future: bool) -> str:
    return "is" if future else "was"


def _done(plan: Plan, future: bool) -> str:
    numbers = (
        (plan.added, "added"),
        (plan.renamed, "renamed"),
        (plan.disabled, "switched off"),
        (plan.enabled, "switched on again"),
    )
    parts = [f"{len(names):,} {'would be ' if future else ''}{what}" for names, what in numbers if names]
    nothing = "Nothing would change." if future else "Nothing had to be changed."
    return f"{', '.join(parts)}." if parts else nothing


def _left(plan: Plan, source: Source) -> list[str]:
    """What could not be done."""
    says = []
    if plan.over:
        says.append(
            f"{source.books} has {plan.over:,} more than fit into a PEX tag ({most().options:,}), so no new one is "
            "added. Archive some there."
        )
    if plan.unfit:
        first = plan.unfit[0][:40]
        others = f" and {len(plan.unfit) - 1:,} more" if len(plan.unfit) > 1 else ""
        says.append(f"Left as they are, since PEX takes names of 1 to {most().length} characters: “{first}”{others}.")
    if plan.kept:
        says.append(f"“{plan.kept}” stays on, since a dropdown needs one option.")
    return says


def _note(feed: Feed, source: Source, told: Told, plan: Plan | None = None) -> Told:
    """Keep what became of the list."""
    now = clock.now()
    feed.system, feed.field = source.system, source.field
    feed.state, feed.says, feed.looked_at = told.state, told.says[:500], now
    if plan is not None:
        _keep(feed, plan, source, now)
    used_up = plan is not None and not plan.held and bool(feed.allowed)
    feed.allowed = [] if used_up else feed.allowed
    _save(feed, *(["allowed"] if used_up else []))  # what vanishes the next time is asked about again
    return told


def _keep(feed: Feed, plan: Plan, source: Source, now: datetime) -> None:
    feed.counts = counts(plan, source, plan.options)
    feed.twins, feed.unfit = list(plan.twins[:SHOWN]), list(plan.unfit[:SHOWN])
    feed.going = sorted(plan.going) if plan.held else []
    if plan.changes:
        feed.changed_at = now


def _save(feed: Feed, *more: str) -> None:
    """Write what a sync knows. What a person allows meanwhile is not ours to overwrite."""
    columns = [*OURS, *more]
    with scope(feed.business_id):
        Feed.objects.bulk_create(
            [feed], update_conflicts=True, unique_fields=["business", "tag_id"], update_fields=columns
        )
