"""Reading PEX's tag definitions into our copy, and handing them to whoever codes."""

from django.core.cache import cache

from connectors.pex import auth, mapping
from connectors.pex.mapping import TagDefinition
from connectors.records import KnownTag
from pexsync import clock
from pexsync.accounts.models import Business
from pexsync.accounts.tenancy import scope
from tagging.models import Tag

ASKED_AGAIN = 120  # seconds for which one answer of PEX serves


def refresh(business: Business, fresh: bool = False) -> None:
    """Ask PEX for the tags of a business, unless that was done just now. Never inside a transaction.

    Raises `NotAuthorized`, `RetryLater`; our copy then stays what it was.
    """
    key = f"tags:{business.pk}"
    if not fresh and cache.get(key):
        return
    with auth.client_for(business) as pex:
        rows = pex.tags()
    if rows is not None:
        save(business, [mapping.tag(row) for row in rows])
    cache.set(key, True, ASKED_AGAIN)


def save(business: Business, rows: list[TagDefinition]) -> None:
    """Make our copy what PEX just gave; a definition that vanished counts as deleted, since rows may still carry it."""
    if not rows:  # PEX has never nothing to tell of a business that uses tags: more likely something went wrong
        return
    at = clock.now()
    with scope(business.pk):
        Tag.objects.filter(business=business).exclude(tag_id__in=[row.id for row in rows]).update(deleted=True)
        Tag.objects.bulk_create(
            [
                Tag(
                    business=business,
                    tag_id=row.id,
                    name=row.name[:200],
                    type=row.type[:20],
                    required=row.required,
                    enabled=row.enabled,
                    deleted=row.deleted,
                    order=row.order,
                    options=[[option.value, option.name, option.enabled] for option in row.options],
                    read_at=at,
                )
                for row in rows
            ],
            update_conflicts=True,
            unique_fields=["business", "tag_id"],
            update_fields=["name", "type", "required", "enabled", "deleted", "order", "options", "read_at"],
        )


def changed(business: Business, row: TagDefinition) -> None:
    """Take over what PEX says of one tag after we changed its options."""
    options = [[option.value, option.name, option.enabled] for option in row.options]
    with scope(business.pk):
        Tag.objects.filter(business=business, tag_id=row.id).update(options=options, read_at=clock.now())


def usable(business: Business) -> dict[str, KnownTag]:
    """Return the tags of a business by id as coding needs them."""
    return {
        tag.tag_id: KnownTag(
            name=tag.name,
            type=tag.type,
            required=tag.required,
            usable=tag.enabled and not tag.deleted,
            shown_as={value: name for value, name, _ in tag.options},
        )
        for tag in Tag.objects.filter(business=business)
    }
