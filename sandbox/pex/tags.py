"""Tag definitions: the business's dropdowns and other fields, and their options."""

import secrets
from dataclasses import replace
from typing import Any

from sandbox.pex.asks import EMPTY, Ask, Fields, Refused, Reply, reply
from sandbox.pex.attachments import user_json
from sandbox.pex.eastern import utc_text
from sandbox.pex.records import Option, Tag

KINDS = {
    "text": "Text",
    "decimal": "Decimal",
    "yesno": "YesNo",
    "dropdown": "Dropdown",
    "allocation": "Allocation",
}
LONGEST = 255  # of a tag's or an option's name


def every(ask: Ask) -> Reply:
    """GET Business/Configuration/Tags; the options of other groups are left out, whatever is asked"""
    listed = ask.world.switches.deleted_tags_listed
    tags = [tag for tag in ask.business.tags.values() if listed or not tag.deleted]
    return reply([tag_json(tag, everything=False) for tag in sorted(tags, key=lambda tag: tag.order)])


def one(ask: Ask) -> Reply:
    """GET Business/Configuration/Tag/{tagId}; all options only with OverrideRestrictions=true"""
    tag = ask.business.tags.get(ask.groups["tag"].lower())
    if tag is None:
        raise Refused(404, "Tag not found")
    answer = reply(tag_json(tag, ask.flag("OverrideRestrictions")))
    _somebody_edits(ask, tag, "tag_edits_after_read")
    return answer


def create(ask: Ask) -> Reply:
    """POST Business/Configuration/Tag/{type}"""
    kind, sent = KINDS[ask.groups["kind"].lower()], ask.fields()
    _check_name(ask, sent, None)
    if kind == "Allocation" and any(tag.type == kind and not tag.deleted for tag in ask.business.tags.values()):
        raise Refused(400, "Business already has an allocation tag")
    options = _options(ask, sent) if kind == "Dropdown" else []
    tag = ask.business.add_tag(sent.text("Name"), kind, options, author=ask.admin.person)
    _apply(tag, sent)
    return reply(tag_json(tag, everything=True), 201)


def change(ask: Ask) -> Reply:
    """PUT Business/Configuration/Tag/{type}/{tagId}, a full replacement: options not sent are gone"""
    tag, sent = _of_kind(ask), ask.fields()
    key = sent.text("ConcurrencyKey", default="")
    if ask.world.switches.tag_keys_checked and key and key != tag.key:
        raise Refused(409, "The tag was changed since it was read")
    _check_name(ask, sent, tag)
    if tag.type == "Dropdown":
        tag.options = _keeping_groups(tag, _options(ask, sent))
    tag.name = sent.text("Name")
    _apply(tag, sent)
    _touched(ask, tag)
    answer = reply(tag_json(tag, everything=True))
    _somebody_edits(ask, tag, "tag_edits_after_write")
    return answer


def add_options(ask: Ask) -> Reply:
    """POST Business/Configuration/Tag/Dropdown/{tagId}/Options"""
    tag, sent = _live(ask), ask.fields()
    if tag.type != "Dropdown":
        raise Refused(400, "Tag is not dropdown type.")
    fresh = [_option(row) for row in sent.rows("Options")]
    _check_options(ask, [*tag.options, *fresh])
    tag.options += fresh
    _touched(ask, tag)
    return reply(tag_json(tag, everything=True))


def remove(ask: Ask) -> Reply:
    """DELETE Business/Configuration/Tag/{type}/{tagId}: the definition stays, marked as deleted"""
    tag = _of_kind(ask)
    tag.deleted, tag.enabled = True, False
    tag.deleted_at, tag.deleted_by = ask.now, ask.admin.person
    _touched(ask, tag)
    return EMPTY


def tag_json(tag: Tag, everything: bool) -> dict[str, Any]:
    """Return a tag; its group-restricted options only if `everything` is asked for."""
    facts: dict[str, Any] = {
        "Id": tag.tag_id,
        "Type": tag.type,
        "Name": tag.name,
        "Description": tag.description,
        "IsEnabled": tag.enabled,
        "IsDeleted": tag.deleted,
        "IsRequired": tag.required,
        "Order": tag.order,
        "ConcurrencyKey": tag.key,
        "CreatedDateUtc": utc_text(tag.created),
        "CreatedBy": user_json(tag.author),
        "UpdatedDateUtc": utc_text(tag.updated) if tag.updated else None,
        "UpdatedBy": user_json(tag.updated_by) if tag.updated_by else None,
        "DeletedDateUtc": utc_text(tag.deleted_at) if tag.deleted_at else None,
        "DeletedBy": user_json(tag.deleted_by) if tag.deleted_by else None,
    }
    if tag.type == "Dropdown":
        facts["Options"] = [_option_json(option) for option in tag.options if everything or not option.groups]
    if tag.type == "Text":
        facts |= {
            "MinLength": tag.min_length,
            "Length": tag.length,
            "ValidationType": tag.validation,
            "ValidationRegex": tag.validation_regex,
        }
    return facts


def _option_json(option: Option) -> dict[str, Any]:
    return {"Name": option.name, "Value": option.value, "Order": option.order, "IsEnabled": option.enabled}


def _live(ask: Ask) -> Tag:
    tag = ask.business.tags.get(ask.groups["tag"].lower())
    if tag is None or tag.deleted:
        raise Refused(404, "Tag not found")
    return tag


def _of_kind(ask: Ask) -> Tag:
    tag, kind = _live(ask), KINDS[ask.groups["kind"].lower()]
    if tag.type != kind:
        raise Refused(400, f"Tag is not {kind.lower()} type.")
    return tag


def _check_name(ask: Ask, sent: Fields, itself: Tag | None) -> None:
    name = sent.text("Name")
    if len(name) > LONGEST:
        raise Refused(400, f"Name must not be longer than {LONGEST} characters")
    for tag in ask.business.tags.values():
        if tag is not itself and not tag.deleted and tag.name.lower() == name.lower():
            raise Refused(400, "A tag with this name exists already")


def _apply(tag: Tag, sent: Fields) -> None:
    tag.description = sent.text("Description", default="")
    tag.order = sent.integer("Order", default=tag.order)
    tag.required, tag.enabled = sent.flag("IsRequired"), sent.flag("IsEnabled", default=True)
    if tag.type == "Text":
        tag.min_length = sent.integer("MinLength", default=0)
        tag.length = sent.integer("Length", default=LONGEST)
        tag.validation = sent.text("ValidationType", default="None")
        tag.validation_regex = sent.text("ValidationRegex", default="") or None


def _touched(ask: Ask, tag: Tag) -> None:
    tag.key = secrets.token_hex(8)
    tag.updated, tag.updated_by = ask.now, ask.admin.person
    ask.business.fields_version = ask.world.next_hex("fields")


def _somebody_edits(ask: Ask, tag: Tag, switch: str) -> None:
    """An admin adds an option in the dashboard at the worst moment, as often as the switch says."""
    left = getattr(ask.world.switches, switch)
    if left and tag.type == "Dropdown":
        setattr(ask.world.switches, switch, left - 1)
        number = ask.world.next_id("edits")
        tag.add_option(f"by-hand-{number}", f"Added by hand {number}")
        _touched(ask, tag)


def _options(ask: Ask, sent: Fields) -> list[Option]:
    options = [_option(row) for row in sent.rows("Options")]
    _check_options(ask, options)
    return options


def _option(sent: Fields) -> Option:
    name, value = sent.text("Name"), sent.text("Value")
    if max(len(name), len(value)) > LONGEST:
        raise Refused(400, f"Option names and values must not be longer than {LONGEST} characters")
    return Option(value, name, sent.integer("Order", default=0), sent.flag("IsEnabled", default=True))


def _check_options(ask: Ask, options: list[Option]) -> None:
    """Names and values are unique without case, the disabled ones included; one must be enabled."""
    most = ask.world.switches.options_per_tag
    if most and len(options) > most:
        raise Refused(400, f"A tag takes {most} options")
    if not any(option.enabled for option in options):
        raise Refused(400, "At least one option must be enabled")
    for what, texts in (("value", [o.value for o in options]), ("name", [o.name for o in options])):
        if len({text.lower() for text in texts}) != len(texts):
            raise Refused(400, f"Every option {what} must be unique")


def _keeping_groups(tag: Tag, options: list[Option]) -> list[Option]:
    groups = {option.value: option.groups for option in tag.options}
    return [replace(option, groups=groups.get(option.value, frozenset())) for option in options]
