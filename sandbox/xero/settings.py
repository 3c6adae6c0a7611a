"""What an organisation is set up with: itself, its tax rates and currencies."""

from operator import attrgetter

from sandbox.xero import elements as read
from sandbox.xero.answers import Answer, ApiRequest, Refused, not_found, refused_with
from sandbox.xero.listing import Listing, word_member
from sandbox.xero.shapes import organisation, tax_rate
from sandbox.xero.where import Member

TAX_RATES = Listing(
    "TaxRate",
    {
        "Name": word_member(attrgetter("name")),
        "TaxType": word_member(attrgetter("tax_type")),
        "Status": word_member(attrgetter("status")),
        "ReportTaxType": word_member(attrgetter("report_tax_type")),
        "EffectiveRate": Member("Decimal", attrgetter("rate")),
    },
    attrgetter("name"),
)
CURRENCIES = Listing(
    "Currency",
    {"Code": word_member(lambda one: one["Code"]), "Description": word_member(lambda one: one["Description"])},
    lambda one: one["Code"],
)
MULTICURRENCY_ONLY = ("UseMulticurrency",)
ACTIONS = (
    "CreateApprovedBill",
    "CreateDraftBill",
    "AttachFiles",
    "CreateContacts",
    "CreateBankTransactions",
    "UseMulticurrency",
)


def get_organisation(request: ApiRequest) -> Answer:
    return request.envelope("Organisations", [organisation(request.organisation, request.style)])


def get_actions(request: ApiRequest) -> Answer:
    refused = () if request.organisation.multicurrency else MULTICURRENCY_ONLY
    actions = [{"Name": name, "Status": "NOT-ALLOWED" if name in refused else "ALLOWED"} for name in ACTIONS]
    return request.envelope("Actions", actions)


def get_tax_rates(request: ApiRequest) -> Answer:
    rows = [one for one in request.organisation.tax_rates.values() if one.status != "DELETED"]
    return request.envelope("TaxRates", (tax_rate(one) for one in TAX_RATES.select(request, rows)))


def get_tax_rate(request: ApiRequest, tax_type: str) -> Answer:
    found = request.organisation.tax_rates.get(tax_type.upper())
    if found is None:
        raise Refused(not_found())
    return request.envelope("TaxRates", [tax_rate(found)])


def get_currencies(request: ApiRequest) -> Answer:
    rows = [{"Code": code, "Description": words} for code, words in request.organisation.currencies.items()]
    return request.envelope("Currencies", CURRENCIES.select(request, rows))


def put_currency(request: ApiRequest) -> Answer:
    sent = request.elements("Currencies")[0]
    code = read.text(sent, "Code").upper()
    if not request.organisation.multicurrency:
        return refused_with("Organisation is not subscribed to multi-currency")
    if len(code) != 3 or not code.isalpha():
        return refused_with("Currency code must be valid.")
    request.organisation.currencies[code] = read.text(sent, "Description") or code
    added = {"Code": code, "Description": request.organisation.currencies[code]}
    return request.envelope("Currencies", [added])
