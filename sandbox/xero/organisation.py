"""One organisation of the simulated Xero: its master data, its bank transactions and what a person does there."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from sandbox.xero.records import (
    CENT,
    Account,
    Attachment,
    BankTransaction,
    BankTransfer,
    Contact,
    Line,
    Note,
    TaxRate,
    Tracked,
    TrackingCategory,
    TrackingOption,
)

if TYPE_CHECKING:
    from sandbox.xero.world import XeroWorld

T = TypeVar("T")
ZONES = {
    "EASTERNSTANDARDTIME": "America/New_York",
    "CENTRALSTANDARDTIME": "America/Chicago",
    "MOUNTAINSTANDARDTIME": "America/Denver",
    "PACIFICSTANDARDTIME": "America/Los_Angeles",
    "GMTSTANDARDTIME": "Europe/London",
    "NEWZEALANDSTANDARDTIME": "Pacific/Auckland",
    "AUSEASTERNSTANDARDTIME": "Australia/Sydney",
}
FOREIGN_WORDS = ("Bank feed", "Card terminal", "Standing order", "Cheque", "Direct debit", "Cash book")


def name_key(name: str) -> str:
    """Return what two equal contact names share: Xero ignores case and accents."""
    decomposed = unicodedata.normalize("NFKD", name.strip())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()


def money(amount: Decimal | int | str) -> Decimal:
    return Decimal(amount).quantize(CENT)


@dataclass(eq=False)
class Organisation:
    id: str
    name: str
    short_code: str
    world: "XeroWorld" = field(repr=False)
    currency: str = "USD"
    country: str = "US"
    version: str = "US"
    legal_name: str = ""
    pays_tax: bool = False
    timezone: str = "EASTERNSTANDARDTIME"
    organisation_class: str = "PREMIUM"
    is_demo: bool = False
    default_purchases_tax: str = "No Tax"
    default_sales_tax: str = "No Tax"
    sales_tax_basis: str = "NONE"
    sales_tax_period: str = "NONE"
    period_lock_date: date | None = None
    end_of_year_lock_date: date | None = None
    multicurrency: bool = True
    offline: bool = False  # answers 503 to every call
    created: datetime = field(kw_only=True)
    currencies: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    tracking: dict[str, TrackingCategory] = field(default_factory=dict)
    tax_rates: dict[str, TaxRate] = field(default_factory=dict)
    bank_transactions: dict[str, BankTransaction] = field(default_factory=dict)
    bank_transfers: dict[str, BankTransfer] = field(default_factory=dict)
    revision: int = 0  # rises when an account, a tracking name or a tax rate changes
    names: dict[str, Contact] = field(default_factory=dict, repr=False)  # name_key -> active contact

    # What is there

    def today(self) -> date:
        return self.world.now().astimezone(ZoneInfo(ZONES.get(self.timezone, "UTC"))).date()

    def live(self) -> list[BankTransaction]:
        """Return spend and receive money that is not deleted; legs of transfers are in `live_transfers`."""
        return [one for one in self.bank_transactions.values() if one.status == "AUTHORISED" and not one.is_leg]

    def live_transfers(self) -> list[BankTransfer]:
        return [one for one in self.bank_transfers.values() if one.status == "AUTHORISED"]

    def with_reference(self, reference: str) -> list[BankTransaction]:
        return [one for one in self.live() if one.reference == reference]

    def bank_accounts(self) -> list[Account]:
        return [one for one in self.accounts.values() if one.is_bank and one.status == "ACTIVE"]

    def balance(self, account: Account) -> Decimal:
        movements = self.bank_transactions.values()
        mine = (one.signed_total for one in movements if one.bank_account is account and one.status == "AUTHORISED")
        return sum(mine, Decimal("0.00"))

    def account(self, code_or_name: str) -> Account:
        """Return the account with this id, code or name; a code wins over a name."""
        return _one(self.accounts.values(), code_or_name, ("id", "code", "name"))

    def contact(self, name: str) -> Contact:
        return _one(self.contacts.values(), name, ("id", "name"))

    def active_contact(self, name: str) -> Contact | None:
        found = self.names.get(name_key(name))
        if found and found.status == "ACTIVE" and name_key(found.name) == name_key(name):
            return found
        return None

    def archived_contact(self, name: str) -> Contact | None:
        key = name_key(name)
        return next(
            (one for one in self.contacts.values() if one.status == "ARCHIVED" and name_key(one.name) == key), None
        )

    def accepts_currency(self, code: str) -> bool:
        return code == self.currency or code in self.currencies

    def lock_broken(self, day: date) -> tuple[str, date] | None:
        """Return the lock that keeps this day closed, by its name in messages; the day itself is included."""
        locks = (("end of year", self.end_of_year_lock_date), ("period", self.period_lock_date))
        return next(((name, lock) for name, lock in locks if lock and day <= lock), None)

    # Master data

    def add_account(
        self, code: str, name: str, type: str = "EXPENSE", status: str = "ACTIVE", **fields: Any
    ) -> Account:
        account = Account(
            id=self.world.new_id("account"),
            code=code,
            name=name,
            type=type,
            status=status,
            updated=self.world.now(),
            **fields,
        )
        self.accounts[account.id] = account
        return account

    def add_bank_account(
        self, name: str, currency: str = "USD", bank_account_type: str = "BANK", **fields: Any
    ) -> Account:
        if not self.accepts_currency(currency):
            self.currencies[currency] = currency
        fields = {"code": "", "bank_account_number": "", **fields}
        return self.add_account(
            name=name, type="BANK", currency=currency, bank_account_type=bank_account_type, **fields
        )

    def change_account(self, account: Account, **fields: Any) -> Account:
        """Rename, recode, archive or restore an account: `change_account(account, status="ARCHIVED")`."""
        _assign(account, fields, self.world.now())
        self.revision += 1
        return account

    def add_contact(self, name: str, status: str = "ACTIVE", **fields: Any) -> Contact:
        contact = Contact(id=self.world.new_id("contact"), name=name, status=status, updated=self.world.now(), **fields)
        self.contacts[contact.id] = contact
        self._index(contact)
        return contact

    def add_foreign_contacts(self, n: int) -> None:
        for number in range(1, n + 1):
            self.add_contact(f"Supplier {number:05d} Inc", email=f"supplier{number}@example.com")

    def change_contact(self, contact: Contact, **fields: Any) -> Contact:
        """Rename, archive or restore a contact: `change_contact(contact, status="ARCHIVED")`."""
        if self.names.get(name_key(contact.name)) is contact:
            del self.names[name_key(contact.name)]
        _assign(contact, fields, self.world.now())
        self._index(contact)
        return contact

    def merge_contact(self, contact: Contact, into: Contact) -> Contact:
        """Archive a contact in favour of another; its documents follow and its stamp stays, as in Xero."""
        stamp = contact.updated
        self.change_contact(contact, status="ARCHIVED", merged_to=into.id)
        contact.updated = stamp
        for one in self.bank_transactions.values():
            if one.contact is contact:
                one.contact = into
        return contact

    def _index(self, contact: Contact) -> None:
        if contact.status == "ACTIVE":
            self.names[name_key(contact.name)] = contact

    def add_tracking(self, name: str, options: Iterable[str] = (), status: str = "ACTIVE") -> TrackingCategory:
        category = TrackingCategory(self.world.new_id("tracking"), name, status)
        for option in options:
            self.add_tracking_option(category, option)
        self.tracking[category.id] = category
        return category

    def add_tracking_option(self, category: TrackingCategory, name: str, status: str = "ACTIVE") -> TrackingOption:
        option = TrackingOption(self.world.new_id("option"), name, status)
        category.options.append(option)
        return option

    def change_tracking(self, thing: TrackingCategory | TrackingOption, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(thing, name, value)
        self.revision += 1

    def add_tax_rate(self, name: str, tax_type: str, rate: str | Decimal = "0", **fields: Any) -> TaxRate:
        self.tax_rates[tax_type] = TaxRate(name, tax_type, Decimal(rate), **fields)
        return self.tax_rates[tax_type]

    def change_tax_rate(self, rate: TaxRate, **fields: Any) -> TaxRate:
        """Rename, delete or restore a rate: `change_tax_rate(rate, status="DELETED")`."""
        for name, value in fields.items():
            setattr(rate, name, value)
        self.revision += 1
        return rate

    # Documents

    def add_transaction(self, transaction: BankTransaction) -> BankTransaction:
        self.bank_transactions[transaction.id] = transaction
        return transaction

    def note(self, record: BankTransaction | BankTransfer | Contact, changes: str, details: str, user: str) -> None:
        record.history.append(Note(self.world.now(), details, changes, user))

    def post_by_hand(self, reference: str = "", amount: Decimal | str = "10.00", **fields: Any) -> BankTransaction:
        """Enter one transaction as a person would.

        `fields`: type, date, contact, bank_account, account (records or names), url, description, status.
        """
        transaction = self._spend(reference, money(amount), fields)
        self.note(transaction, "Created", f"Entered by hand, {transaction.total}", "A person")
        return self.add_transaction(transaction)

    def add_transfer(
        self, first: Account, second: Account, amount: Decimal, day: date, reference: str = ""
    ) -> BankTransfer:
        """Move money from the first bank account to the second; each has a leg of it among its transactions."""
        id, now = self.world.new_id("bank transfer"), self.world.now()
        transfer = BankTransfer(
            id=id,
            from_account=first,
            to_account=second,
            amount=amount,
            date=day,
            created=now,
            updated=now,
            from_leg=self._leg("SPEND-TRANSFER", first, amount, day, reference, id),
            to_leg=self._leg("RECEIVE-TRANSFER", second, amount, day, reference, id),
            reference=reference,
        )
        self.bank_transfers[id] = transfer
        return transfer

    def _leg(
        self, type: str, account: Account, amount: Decimal, day: date, reference: str, transfer_id: str
    ) -> BankTransaction:
        return self.add_transaction(
            BankTransaction(
                id=self.world.new_id("bank transaction"),
                type=type,
                bank_account=account,
                contact=None,
                date=day,
                lines=[],
                updated=self.world.now(),
                reference=reference,
                currency=account.currency or self.currency,
                sub_total=amount,
                total=amount,
                transfer_id=transfer_id,
            )
        )

    def transfer_by_hand(
        self, first: str, second: str, amount: Decimal | str, date: date | None = None, reference: str = ""
    ) -> BankTransfer:
        """Move money between two bank accounts, by id, code or name, as a person would."""
        sides = self.account(first), self.account(second)
        transfer = self.add_transfer(*sides, money(amount), date or self.today(), reference)
        self.note(transfer, "Created", f"Entered by hand, {transfer.amount}", "A person")
        return transfer

    def _spend(self, reference: str, amount: Decimal, fields: Mapping[str, Any]) -> BankTransaction:
        account = self._pick_account(fields.get("account"))
        bank = self._pick_bank_account(fields.get("bank_account"))
        line = Line(
            id=self.world.new_id("line"),
            description=fields.get("description", "Entered by hand"),
            quantity=Decimal("1.0000"),
            unit_amount=amount,
            line_amount=amount,
            account=account,
        )
        return BankTransaction(
            id=self.world.new_id("bank transaction"),
            type=fields.get("type", "SPEND"),
            bank_account=bank,
            contact=self._pick_contact(fields.get("contact", "Entered by hand")),
            date=fields.get("date") or self.today(),
            lines=[line],
            updated=self.world.now(),
            reference=reference,
            url=fields.get("url", ""),
            status=fields.get("status", "AUTHORISED"),
            currency=bank.currency or self.currency,
            sub_total=amount,
            total=amount,
        )

    def _pick_account(self, wanted: Account | str | None) -> Account:
        if isinstance(wanted, Account):
            return wanted
        if wanted:
            return self.account(wanted)
        usable = (one for one in self.accounts.values() if not one.is_bank and not one.system_account)
        return next(usable, None) or self.add_account("429", "General Expenses")

    def _pick_bank_account(self, wanted: Account | str | None) -> Account:
        if isinstance(wanted, Account):
            return wanted
        if wanted:
            return self.account(wanted)
        return next(iter(self.bank_accounts()), None) or self.add_bank_account("Business Checking", self.currency)

    def _pick_contact(self, wanted: Contact | str) -> Contact:
        if isinstance(wanted, Contact):
            return wanted
        return self.active_contact(wanted) or self.add_contact(wanted)

    def add_foreign_transactions(
        self, n: int, bank_account: Account | None = None, until: date | None = None, days: int = 365
    ) -> None:
        """Fill the books with what others entered: n transactions spread over the days before `until`.

        They stand on the first bank account that is not called after PEX, every third without a reference.
        """
        bank = bank_account or self._foreign_bank_account()
        account = self._pick_account(None)
        contacts = [one for one in self.contacts.values() if one.status == "ACTIVE"] or [self.add_contact("Landlord")]
        last, now, base = until or self.today(), self.world.now(), self.world.reserve_ids(2 * n)
        for number in range(n):
            amount = Decimal(100 + (number * 7919) % 250_000) / 100
            amount = amount.quantize(CENT)
            one = BankTransaction(
                id=self.world.id_of(base + 2 * number),
                type="RECEIVE" if number % 5 == 4 else "SPEND",
                bank_account=bank,
                contact=contacts[number % len(contacts)],
                date=last - timedelta(days=(n - 1 - number) * days // n),
                lines=[
                    Line(
                        id=self.world.id_of(base + 2 * number + 1),
                        description=FOREIGN_WORDS[number % len(FOREIGN_WORDS)],
                        quantity=Decimal("1.0000"),
                        unit_amount=amount,
                        line_amount=amount,
                        account=account,
                    )
                ],
                updated=now - timedelta(seconds=n - number),
                reference="" if number % 3 == 0 else f"INV-{number:05d}",
                currency=bank.currency or self.currency,
                sub_total=amount,
                total=amount,
                is_reconciled=number % 4 == 0,
            )
            self.bank_transactions[one.id] = one

    def _foreign_bank_account(self) -> Account:
        others = (one for one in self.bank_accounts() if "pex" not in one.name.lower())
        return next(others, None) or self.add_bank_account("Business Checking", self.currency)

    # What a person does in Xero

    def void(self, id: str) -> BankTransaction:
        """Delete a transaction as the page's button does; a leg deletes its whole transfer."""
        transaction = self.bank_transactions[id]
        if transaction.is_leg:
            self.delete_transfer(self.bank_transfers[transaction.transfer_id], "A person")
            return transaction
        return self.delete(transaction, "A person")

    def delete(self, transaction: BankTransaction, user: str) -> BankTransaction:
        transaction.status = "DELETED"
        transaction.updated = self.world.now()
        self.note(transaction, "Deleted", "", user)
        return transaction

    def delete_transfer(self, transfer: BankTransfer, user: str) -> BankTransfer:
        transfer.status = "DELETED"
        transfer.updated = self.world.now()
        self.note(transfer, "Deleted", "", user)
        for leg in (transfer.from_leg, transfer.to_leg):
            self.delete(leg, user)
        return transfer

    def reconcile(self, id: str, reconciled: bool = True) -> BankTransaction:
        transaction = self.bank_transactions[id]
        transaction.is_reconciled = reconciled
        transaction.updated = self.world.now()
        self.note(transaction, "Reconciled" if reconciled else "Unreconciled", "", "A person")
        return transaction

    def edit(self, id: str, reference: str | None = None, amount: Decimal | str | None = None) -> BankTransaction:
        """Change the reference or the amount; a new amount leaves one line."""
        transaction = self.bank_transactions[id]
        if reference is not None:
            transaction.reference = reference
        if amount is not None:
            line = transaction.lines[0]
            line.quantity, line.unit_amount = Decimal("1.0000"), money(amount)
            line.line_amount, line.tax_amount = money(amount), money(0)
            transaction.lines = [line]
            transaction.add_up()
        transaction.updated = self.world.now()
        self.note(transaction, "Edited", "", "A person")
        return transaction

    def edit_transfer(self, transfer: BankTransfer, reference: str) -> BankTransfer:
        """Change the reference, on both legs too; amount, day and accounts never change."""
        for one in (transfer, transfer.from_leg, transfer.to_leg):
            one.reference = reference
            one.updated = self.world.now()
        self.note(transfer, "Edited", "", "A person")
        return transfer

    def attach(self, id: str, file_name: str, content: bytes, mime_type: str) -> Attachment:
        attachment = Attachment(self.world.new_id("attachment"), file_name, mime_type, content)
        self.bank_transactions[id].attachments.append(attachment)
        return attachment

    def tracked(self, values: Mapping[str, str]) -> list[Tracked]:
        """Return the tracking of a line from category and option names."""
        found = []
        for category_name, option_name in values.items():
            category = _one(self.tracking.values(), category_name, ("id", "name"))
            option = category.option(option_name)
            assert option, option_name
            found.append(Tracked(category, option))
        return found


def _one(records: Iterable[T], wanted: str, members: Sequence[str]) -> T:
    everything = list(records)
    for member in members:
        for record in everything:
            if getattr(record, member) == wanted:
                return record
    raise KeyError(wanted)


def _assign(record: Account | Contact, fields: Mapping[str, Any], now: datetime) -> None:
    for name, value in fields.items():
        assert hasattr(record, name), name
        setattr(record, name, value)
    record.updated = now
