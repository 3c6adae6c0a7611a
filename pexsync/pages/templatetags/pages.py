"""Small words of the templates: money, moments, and the parts that need a computed shape."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString
from structlog.contextvars import get_contextvars

from connectors.connector import Connector
from pexsync import clock
from pexsync.pages import words
from syncjobs import wording
from syncjobs.notices import Shown

register = template.Library()


@register.filter
def money(amount: Decimal | str | None) -> str:
    return wording.money(amount)


@register.filter
def net(amount: Decimal) -> str:
    """A sum over several kinds: where more came into PEX than went out, it says so instead of standing below nought."""
    return f"{wording.money(-amount)} into PEX" if amount < 0 else wording.money(amount)


@register.filter
def shape(tone: str) -> str:
    return words.SHAPES.get(tone, words.SHAPES["off"])


@register.filter
def tone_of(level: str) -> str:
    """Return the tone of a Django message's level."""
    return {"success": "ok", "info": "info", "warning": "warn", "error": "bad"}.get(level, "info")


@register.simple_tag
def reference() -> str:
    """Return the id of this request, as it stands in the log: for error pages, which have no context."""
    return str(get_contextvars().get("request_id", ""))


@register.filter
def counted(count: int, kind: str) -> str:
    return words.counted(count, kind)


@register.filter
def many(word: str) -> str:
    """Return "companies" of "company"."""
    return words.many(word)


@register.filter
def a(word: str) -> str:
    """Return "an organization" of "organization"."""
    return words.a(word)


@register.filter
def where(connector: type[Connector]) -> str:
    """Return what "posted" is called there of many rows, some of which a person may have yet to post."""
    return wording.where_all(connector)


@register.filter
def get(mapping: dict[str, Any], key: str) -> Any:
    return mapping.get(key)


@register.filter
def receipts(found: Sequence[Any]) -> str:
    """Return "2 receipts attached", or how many are and what became of the others; their own page says more."""
    attached = sum(receipt.state == "attached" for receipt in found)
    if attached == len(found):
        return "1 receipt attached" if attached == 1 else f"{attached} receipts attached"
    failed = sum(receipt.state == "failed" for receipt in found)
    coming = len(found) - attached - failed
    rest = [f"{count} {words}" for count, words in ((failed, "not attached"), (coming, "to come")) if count]
    return f"{attached} of {len(found)} receipts attached, {', '.join(rest)}"


@register.filter
def headline(says: str) -> str:
    """Return the first sentence, without its stop; `rest` gives the others."""
    return words.headline(says)[0]


@register.filter
def rest(says: str) -> str:
    return words.headline(says)[1]


@register.filter
def plain_day(when: date | None) -> str:
    """Return a posting date as it stands in the books: "3 May 2026"."""
    return f"{when.day} {when:%b %Y}" if when else "—"


@register.simple_tag(takes_context=True)
def moment(context: Context, when: datetime | None, form: str = "both") -> SafeString | str:
    """Draw an instant in the business's time zone, exact on hover.

    form: both ("today 10:02"), exact ("3 May 10:02"), day ("today"), clock ("10:02").
    """
    if when is None:
        return "—"
    zone = _zone(context)
    local = when.astimezone(zone)
    said = {
        "both": f"{words.day(when, clock.now(), zone)} {local:%H:%M}",
        "exact": f"{words.date_of(when, clock.now(), zone)} {local:%H:%M}",
        "day": words.day(when, clock.now(), zone),
        "clock": f"{local:%H:%M}",
    }[form]
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.astimezone(UTC).isoformat(timespec="seconds"),
        f"{local.day} {local:%b %Y %H:%M:%S %Z}",
        said,
    )


@register.simple_tag(takes_context=True)
def since(context: Context, notice: Shown) -> str:
    return words.since(notice.since, notice.times, clock.now(), _zone(context))


@register.simple_tag
def lasted(start: datetime | None, end: datetime | None) -> SafeString | str:
    """Draw a duration as "0:41", spoken as "41 seconds"; of a run that lives, until now."""
    if start is None:
        return "—"
    seconds = ((end or clock.now()) - start).total_seconds()
    return format_html(
        '<span aria-hidden="true">{}</span><span class="for-readers">{}</span>',
        words.duration(seconds),
        words.spoken_duration(seconds),
    )


@register.inclusion_tag("parts/chip.html")
def chip(tone: str, word: str, shape: str = "") -> dict[str, str]:
    return {"tone": tone, "word": word, "shape": shape or words.SHAPES.get(tone, words.SHAPES["off"])}


@register.inclusion_tag("parts/dot.html")
def dot(tone: str, word: str = "") -> dict[str, str]:
    """Draw a state's shape alone, its word for readers."""
    return {"tone": tone, "word": word, "shape": words.SHAPES.get(tone, words.SHAPES["off"])}


@register.inclusion_tag("parts/monogram.html")
def monogram(label: str, tint: str = "info") -> dict[str, str]:
    return {"letter": label[:1].upper(), "tint": tint}


def _zone(context: Context) -> ZoneInfo:
    frame = context.get("frame")
    return frame.zone if frame else clock.EASTERN
