"""The business, its admins, its cardholders and their groups."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sandbox.pex.asks import Ask, Refused, Reply, reply
from sandbox.pex.business import ALL, Admin, Business, CardAccount
from sandbox.pex.eastern import wall
from sandbox.pex.world import Switches

_ADDRESS = {
    "AddressLine1": "1 Commerce Street",
    "AddressLine2": None,
    "City": "Hartford",
    "State": "CT",
    "PostalCode": "06103",
    "Country": "USA",
}
_PHONE = "8605550100"


def profile(ask: Ask) -> Reply:
    """GET Business/Profile"""
    return reply(
        {
            "BusinessAcctId": ask.business.business_id,
            "FirstName": ask.admin.first,
            "LastName": ask.admin.last,
            "PhoneExtension": None,
            "Phone": _PHONE,
            "Email": ask.admin.email,
            "DateOfBirth": None,
            "ProfileAddress": _address(ask.business.name),
        }
    )


def balance(ask: Ask) -> Reply:
    """GET Business/Balance"""
    facts = {
        "BusinessAccountId": ask.business.business_id,
        "BusinessAccountBalance": ask.business.balance,
    }
    return reply(facts)


def settings(ask: Ask) -> Reply:
    """GET Business/Settings"""
    business = ask.business
    unknown = ask.world.switches.unknown_fields
    return reply(
        {
            "TagsEnabled": business.tags_enabled,
            "AllocationTagsEnabled": business.tags_enabled and business.splits_enabled,
            "UseTagDependencies": False,
            "FundingSource": business.funding,
            "UseBusinessBalance": business.use_business_balance,
            "UseReimbursements": False,
            "UseBillPay": business.use_bill_pay,
            "UseCardholderGroup": bool(business.groups),
            "UseRemoteDecision": False,
            "BlockCardDefunding": False,
            "SupportedCardType": ["Plastic", "Emv", "Virtual"],
            "CardLimit": None,
            "VendorLimit": business.vendor_limit,
            "DefaultDailyLimit": Decimal("2500.00"),
            **({"UseHolographicCards": False} if unknown else {}),
        }
    )


def my_profile(ask: Ask) -> Reply:
    """GET Business/MyProfile"""
    return reply({"Admin": _admin(ask.admin)})


def admins(ask: Ask) -> Reply:
    """GET Business/Admin"""
    return reply({"BusinessAdmins": [_admin(one) for one in ask.business.admins.values()]})


def admin(ask: Ask) -> Reply:
    """GET Business/Admin/{id}"""
    found = ask.business.admins.get(ask.number("admin"))
    if found is None:
        raise Refused(404, "Admin not found")
    return reply({"Admin": _admin(found)})


def linked(ask: Ask) -> Reply:
    """GET Business/Linked: the other businesses the same person administers"""
    others = [
        business
        for business in ask.world.businesses.values()
        if business is not ask.business and any(one.username == ask.admin.username for one in business.admins.values())
    ]
    return reply([_linked(business) for business in others])


def _linked(business: Business) -> dict[str, Any]:
    return {
        "InstitutionId": 1,
        "BusinessAcctId": business.business_id,
        "BusinessName": business.name,
        "MinBusinessBalance": Decimal("0.00"),
        "CurrentBalance": business.balance,
    }


def partner(ask: Ask) -> Reply:
    """GET Partner"""
    business = ask.business
    facts = {
        "PartnerName": business.partner_name,
        "PartnerBusinessId": business.partner_business_id,
    }
    return reply(facts)


def details(ask: Ask) -> Reply:
    """GET Details/AccountDetails: the business and all its card accounts, in one answer"""
    business = ask.business
    cards = [card for card in business.cards.values() if card.listed]
    return reply(
        {
            "BusinessAccountId": business.business_id,
            "BusinessAccountNumber": f"{business.business_id:010d}",
            "BusinessName": business.name,
            "BusinessAccountStatus": business.status,
            "BusinessAccountBalance": business.balance,
            "PendingTransferAmount": Decimal("0.00"),
            "CHAccountList": [_card(business, card, ask.world.switches) for card in cards],
            "OpenCardholdersCount": _open(cards, "TeamMember"),
            "OpenVendorCardsCount": _open(cards, "Vendor"),
            "CardholderGroups": [],
            "UserGroups": [_group(number, name) for number, name in business.groups.items()],
            "BankAccountList": [
                {
                    "ExternalBankAcctId": business.business_id * 10 + 1,
                    "RoutingNumber": "011900254",
                    "BankAccountNumber": "4812",
                    "BankName": "First Sample Bank",
                    "BankAccountType": "Checking",
                    "IsActive": True,
                }
            ],
        }
    )


def _open(cards: list[CardAccount], kind: str) -> int:
    return sum(card.status == "OPEN" and card.type == kind for card in cards)


def one_card(ask: Ask) -> Reply:
    """GET Details/AccountDetails/{acctId}"""
    card = _found(ask)
    groups = _groups(ask.business, card)
    return reply(
        {
            "AccountId": card.account_id,
            "AccountStatus": card.status,
            "LedgerBalance": card.ledger,
            "AvailableBalance": card.available,
            "ProfileAddress": _address(card.name),
            "Phone": _PHONE,
            "ShippingAddress": _address(card.name),
            "ShippingPhone": _PHONE,
            "DateOfBirth": None,
            "Email": card.email,
            "IsVirtual": card.virtual,
            "CustomId": card.custom_id,
            "Group": None,
            "UserGroups": groups,
            "CardList": [
                {
                    "CardId": card.card_id,
                    "IssuedDate": wall(card.issued),
                    "ExpirationDate": wall(card.issued + timedelta(days=4 * 365)),
                    "Last4CardNumber": card.last4,
                    "CardStatus": _card_status(card, ask.world.switches),
                }
            ],
        }
    )


def card_profile(ask: Ask) -> Reply:
    """GET Card/Profile/{acctId}"""
    card = _found(ask)
    return reply(
        {
            "AccountId": card.account_id,
            "UserId": card.card_id + 1_000_000,
            "AccountStatus": card.status,
            "FirstName": card.first,
            "MiddleName": None,
            "LastName": card.last,
            "CardholderGroupId": None,
            "UserGroupId": card.group_ids[0] if card.group_ids else None,
            "UserGroups": _groups(ask.business, card),
            "SpendRulesetId": None,
            "ProfileAddress": _address(card.name),
            "Phone": _PHONE,
            "ShippingAddress": _address(card.name),
            "ShippingPhone": _PHONE,
            "DateOfBirth": None,
            "UserName": card.email,
            "Email": card.email,
            "IsVirtual": card.virtual,
            "CardholderType": card.type,
            "CustomId": card.custom_id,
        }
    )


def groups(ask: Ask) -> Reply:
    """GET UserGroup"""
    rows = [_group(number, name) for number, name in ask.business.groups.items()]
    return reply({"UserGroups": rows})


def group(ask: Ask) -> Reply:
    """GET UserGroup/{id}"""
    return reply(_group(*_found_group(ask)))


def group_cardholders(ask: Ask) -> Reply:
    """GET UserGroup/{id}/cardholders"""
    number, _ = _found_group(ask)
    members = [card for card in ask.business.cards.values() if number in card.group_ids]
    rows = [{"AccountId": card.account_id, "FirstName": card.first, "LastName": card.last} for card in members]
    return reply({"Cardholders": rows})


def _found_group(ask: Ask) -> tuple[int, str]:
    number = ask.number("group")
    if number not in ask.business.groups:
        raise Refused(404, "User group not found")
    return number, ask.business.groups[number]


def _found(ask: Ask) -> CardAccount:
    card = ask.business.cards.get(ask.number("account"))
    if card is None or card.refused:
        raise Refused(403, "Invalid card account ID")
    return card


def _admin(one: Admin) -> dict[str, Any]:
    return {
        "BusinessAdminId": one.admin_id,
        "FirstName": one.first,
        "MiddleName": None,
        "LastName": one.last,
        "UserName": one.username,
        "ProfileAddress": _address(one.name),
        "Phone": _PHONE,
        "AltPhone": None,
        "DateOfBirth": None,
        "Email": one.email,
        "Permissions": {name: name in one.permissions for name in sorted(ALL)},
        "Status": one.status,
    }


def _card(business: Business, card: CardAccount, switches: Switches) -> dict[str, Any]:
    facts = {
        "AccountId": card.account_id,
        "FirstName": card.first,
        "LastName": card.last,
        "Email": card.email,
        "LedgerBalance": card.ledger,
        "AvailableBalance": card.available,
        "AccountStatus": card.status,
        "IsVirtual": card.virtual,
        "CardholderType": card.type,
        "CustomId": card.custom_id,
        "GroupId": None,
        "GroupName": None,
        "UserGroupId": card.group_ids[0] if card.group_ids else None,
        "UserGroups": _groups(business, card),
        "CardStatus": _card_status(card, switches),
        "CardNumber4Digits": card.last4,
        "CardIssueDate": wall(card.issued),
        "CardExpiryDate": wall(card.issued + timedelta(days=4 * 365)),
    }
    if switches.unknown_fields:
        facts["CardArtwork"] = {"Theme": "meadow"}
    if switches.nulls == "omit":
        return {name: value for name, value in facts.items() if value is not None}
    return facts


def _card_status(card: CardAccount, switches: Switches) -> str:
    return "Quarantined" if switches.unknown_values and card.card_status == "Blocked" else card.card_status


def _group(number: int, name: str) -> dict[str, Any]:
    return {"UserGroupId": number, "Name": name, "GroupType": "Cardholder", "LegacyGroupId": None}


def _groups(business: Business, card: CardAccount) -> list[dict[str, Any]]:
    return [_group(number, business.groups[number]) for number in card.group_ids if number in business.groups]


def _address(name: str) -> dict[str, Any]:
    return {"ContactName": name, **_ADDRESS}
