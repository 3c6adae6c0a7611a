"""TrackingCategories and their options."""

from collections.abc import Sequence
from operator import attrgetter

from sandbox.xero import elements as read
from sandbox.xero.answers import Answer, ApiRequest, Refused, not_found, refused_with
from sandbox.xero.formats import JSON
from sandbox.xero.listing import Listing, word_member
from sandbox.xero.records import TrackingCategory, TrackingOption
from sandbox.xero.shapes import tracking_category, tracking_option
from sandbox.xero.where import Member

LISTING = Listing(
    "TrackingCategory",
    {
        "TrackingCategoryID": Member("Guid", attrgetter("id")),
        "Name": word_member(attrgetter("name")),
        "Status": word_member(attrgetter("status")),
    },
    attrgetter("name"),
)
STATUSES = ("ACTIVE", "ARCHIVED", "DELETED")
MOST_ACTIVE, LONGEST_NAME = 2, 100


def get_many(request: ApiRequest) -> Answer:
    archived = request.query.get("includearchived", "").lower() == "true"
    shown = ("ACTIVE", "ARCHIVED") if archived else ("ACTIVE",)
    rows = [one for one in request.organisation.tracking.values() if one.status in shown]
    return _categories(request, *LISTING.select(request, rows), archived=archived)


def get_one(request: ApiRequest, id: str) -> Answer:
    return _categories(request, find(request, id), archived=True)


def _categories(request: ApiRequest, *categories: TrackingCategory, archived: bool = False) -> Answer:
    return request.envelope("TrackingCategories", (tracking_category(one, archived) for one in categories))


def find(request: ApiRequest, id: str) -> TrackingCategory:
    found = request.organisation.tracking.get(id.lower())
    if found is None:
        raise Refused(not_found())
    return found


def put_one(request: ApiRequest) -> Answer:
    name = read.text(request.elements("TrackingCategories")[0], "Name")
    active = [one for one in request.organisation.tracking.values() if one.status == "ACTIVE"]
    errors = _name_errors(name, active, "tracking category")
    if len(active) >= MOST_ACTIVE:
        errors.append("There is a maximum of 2 active tracking categories")
    if errors:
        return refused_with(*errors)
    return _categories(request, request.organisation.add_tracking(name))


def post_one(request: ApiRequest, id: str) -> Answer:
    found = find(request, id)
    sent = request.elements("TrackingCategories")[0]
    others = [one for one in request.organisation.tracking.values() if one is not found]
    errors = _change_tracking(request, found, sent, others, "tracking category")
    return refused_with(*errors) if errors else _categories(request, found, archived=True)


def delete_one(request: ApiRequest, id: str) -> Answer:
    found = find(request, id)
    request.organisation.change_tracking(found, status="DELETED")
    return _categories(request, found, archived=True)


def put_options(request: ApiRequest, id: str) -> Answer:
    """Add one option, or several sent as `Options`."""
    category = find(request, id)
    names = [read.text(one, "Name") for one in request.elements("Options")]
    active = [one for one in category.options if one.status == "ACTIVE"]
    errors = [error for name in names for error in _name_errors(name, active, "tracking option")]
    if errors:
        return refused_with(*errors)
    return _options(request, *(request.organisation.add_tracking_option(category, name) for name in names))


def post_option(request: ApiRequest, id: str, option_id: str) -> Answer:
    category, found = _find_option(request, id, option_id)
    others = [one for one in category.options if one is not found]
    errors = _change_tracking(request, found, request.elements("Options")[0], others, "tracking option")
    return refused_with(*errors) if errors else _options(request, found)


def delete_option(request: ApiRequest, id: str, option_id: str) -> Answer:
    _, found = _find_option(request, id, option_id)
    request.organisation.change_tracking(found, status="DELETED")
    return _options(request, found)


def _find_option(request: ApiRequest, id: str, option_id: str) -> tuple[TrackingCategory, TrackingOption]:
    category = find(request, id)
    found = next((one for one in category.options if one.id == option_id.lower()), None)
    if found is None:
        raise Refused(not_found())
    return category, found


def _options(request: ApiRequest, *options: TrackingOption) -> Answer:
    return request.envelope("Options", (tracking_option(one) for one in options))


def _change_tracking(
    request: ApiRequest,
    thing: TrackingCategory | TrackingOption,
    sent: JSON,
    others: Sequence[TrackingCategory | TrackingOption],
    label: str,
) -> list[str]:
    """Rename or restate a category or option, or return why not."""
    name, status = read.text(sent, "Name") or thing.name, read.choice(sent, "Status", STATUSES) or thing.status
    errors = _name_errors(name, [one for one in others if one.status == "ACTIVE"], label)
    if not errors:
        request.organisation.change_tracking(thing, name=name, status=status)
    return errors


def _name_errors(name: str, others: Sequence[TrackingCategory | TrackingOption], label: str) -> list[str]:
    if not name:
        return [f"The {label} Name is a mandatory field"]
    if len(name) > LONGEST_NAME:
        return [f"The {label} Name is too long. Maximum of {LONGEST_NAME} characters allowed"]
    if any(one.name.casefold() == name.casefold() for one in others):
        return [f"A {label} with the name {name} already exists"]
    return []
