"""What one run reads of a Xero organisation, each at most once: settings, accounts, contacts (and creates those)."""

from collections.abc import Iterable, Iterator, Sequence

from django.conf import settings

from connectors.connector import Deadline
from connectors.errors import NoAnswer, NotReached, RetryLater
from connectors.records import PARTY, NotSent, Option, Outcome, Party, Refused
from connectors.settings import Settings
from connectors.xero import mapping
from connectors.xero.client import IDS_PER_CALL, BadRequest, Client
from connectors.xero.mapping import JSON, Resource

BATCH = 50

_ARCHIVED = "The contact “{name}” is archived in Xero. Restore it there, or choose another contact in the settings."
_GONE = "The contact is not in Xero any more. Choose another contact in the settings."
_LOST = "Xero did not keep the contact “{name}” under its name. Choose one contact for all purchases in the settings."
_NAMELESS = "The transaction names no merchant. Choose one contact for all purchases in the settings."


class Books:
    """The organisation as this run knows it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.contacts = Contacts(client)
        self._organisation: JSON | None = None
        self._accounts: list[JSON] | None = None
        self._tracking: list[JSON] | None = None

    @property
    def organisation(self) -> JSON:
        if self._organisation is None:
            self._organisation = self.client.organisation()
        return self._organisation

    @property
    def accounts(self) -> list[JSON]:
        if self._accounts is None:
            self._accounts = self.client.accounts()
        return self._accounts

    @property
    def tracking(self) -> list[JSON]:
        if self._tracking is None:
            self._tracking = self.client.tracking_categories()
        return self._tracking

    @property
    def bank_accounts(self) -> list[Option]:
        return mapping.bank_accounts(self.accounts, self.organisation.get("BaseCurrency", ""))

    @property
    def tax(self) -> str:
        """As chosen, but never for an organisation that pays none: it has no rates to work with."""
        if not mapping.pays_tax(self.organisation):
            return mapping.NO_TAX
        return Settings.parse(self.client.connection.settings).extra.get(mapping.TAX) or mapping.INCLUSIVE

    def link(self, resource: Resource, record_id: str) -> str:
        return mapping.deep_link(settings.XERO_GO_URL, self.organisation.get("ShortCode", ""), resource, record_id)


class Contacts:
    """All contacts of the organisation, archived ones too. Matched here: Xero's filters cannot take a quote."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._index: _Index | None = None  # of all of them
        self._chosen = _Index(())  # of those the settings name by id; who is not in Xero is not in here either
        self._asked: set[str] = set()

    @property
    def rows(self) -> list[JSON]:
        return self._all().rows

    def resolve(self, parties: Iterable[Party], deadline: Deadline | None) -> dict[Party, str | Outcome]:
        """The contact id of each party, creating who is missing; or why its entry cannot go. Raises `RetryLater`."""
        wanted = list(dict.fromkeys(parties))
        found = self._match(wanted)
        missing = [party for party in wanted if party not in found]
        if missing:
            troubles = self._create({mapping.contact_key(party.name): party.name for party in missing}, deadline)
            found |= self._match(missing)
            for party in missing:
                lost = Refused(_LOST.format(name=party.name), cause="contact", field=PARTY)
                found.setdefault(party, troubles.get(mapping.contact_key(party.name), lost))
        return found

    def missing(self, parties: Iterable[Party]) -> list[Party]:
        """Those that would be created, each name once. Raises `RetryLater`."""
        named = [party for party in dict.fromkeys(parties) if not party.id and party.name.strip()]
        found = self._match(named)
        new: dict[str, Party] = {}
        for party in named:
            if party not in found:
                new.setdefault(mapping.contact_key(party.name), party)
        return list(new.values())

    def _all(self) -> "_Index":
        if self._index is None:
            rows: list[JSON] = []
            page, last = 0, False
            while not last:
                page += 1
                answer = self.client.contacts(page)
                rows.extend(answer.rows)
                last = answer.last
            self._index = _Index(rows)
        return self._index

    def _match(self, parties: Sequence[Party]) -> dict[Party, str | Outcome]:
        """Whom Xero has already. Where only ids are asked for, only those are read."""
        if not parties:
            return {}
        named = any(not party.id for party in parties)
        index = self._all() if named or self._index else self._some([party.id.lower() for party in parties])
        answers = {party: index.answer(party) for party in parties}
        return {party: answer for party, answer in answers.items() if answer is not None}

    def _some(self, ids: Sequence[str]) -> "_Index":
        """Those of these ids, and whom they were merged into."""
        while new := [one for one in dict.fromkeys(ids) if one not in self._asked]:
            self._asked.update(new[:IDS_PER_CALL])
            for row in self.client.contacts_of(new[:IDS_PER_CALL]):
                self._chosen.add(row)
            merged = (row.get("MergedToContactID") for row in self._chosen.rows)
            ids = [*ids, *(one.lower() for one in merged if one)]
        return self._chosen

    def _create(self, names: dict[str, str], deadline: Deadline | None) -> dict[str, Outcome]:
        """Create each name once. Answers by key for those who could not be."""
        troubles: dict[str, Outcome] = {}
        keys = list(names)
        for start in range(0, len(keys), BATCH):
            batch = {key: mapping.contact_name(names[key]) for key in keys[start : start + BATCH]}
            troubles |= self._create_batch(batch, deadline)
        return troubles

    def _create_batch(self, names: dict[str, str], deadline: Deadline | None) -> dict[str, Outcome]:
        try:
            elements = self.client.create_contacts([{"Name": name} for name in names.values()], deadline)
        except NoAnswer:
            self._index = None
            says = "Xero did not answer when the contact was created. We look and try again."
            return dict.fromkeys(names, NotSent(60, says))
        except NotReached as error:
            return dict.fromkeys(names, NotSent(error.after, str(error)))
        except RetryLater as error:
            return dict.fromkeys(names, NotSent(error.after, error.says))
        except BadRequest as error:
            return self._create_halves(names, deadline, error)
        return dict(self._take(elements))

    def _create_halves(self, names: dict[str, str], deadline: Deadline | None, error: BadRequest) -> dict[str, Outcome]:
        """The call was refused as a whole: the others must not suffer for one."""
        if len(names) == 1:
            return dict.fromkeys(names, mapping.refusal([error.message]))
        pairs, middle = list(names.items()), len(names) // 2
        first, second = dict(pairs[:middle]), dict(pairs[middle:])
        return self._create_batch(first, deadline) | self._create_batch(second, deadline)

    def _take(self, elements: Sequence[JSON]) -> Iterator[tuple[str, Outcome]]:
        """Remember who was created. A name that is taken is somebody we do not know yet: read them all again."""
        for element in elements:
            key = mapping.contact_key(element.get("Name", ""))
            said = mapping.messages(element)
            if mapping.failed(element):
                yield key, mapping.refusal(said or ["Xero refused the contact without saying why."])
            elif mapping.real_id(element.get("ContactID")) and self._index:
                self._index.add({**element, "ContactStatus": "ACTIVE"})
            if any("already assigned" in text for text in said):
                self._index = None


class _Index:
    """Contacts by id and by what makes a name theirs."""

    def __init__(self, rows: Sequence[JSON]) -> None:
        self.rows: list[JSON] = []
        self.by_id: dict[str, JSON] = {}
        self.by_key: dict[str, list[JSON]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: JSON) -> None:
        self.rows.append(row)
        self.by_id[row["ContactID"].lower()] = row
        self.by_key.setdefault(mapping.contact_key(row.get("Name", "")), []).append(row)

    def answer(self, party: Party) -> str | Outcome | None:
        """The id to use, why there is none, or None for somebody new."""
        if party.id:
            row = self.by_id.get(party.id.lower())
            return self._usable(row) if row else Refused(_GONE, cause="contact", field=PARTY)
        if not mapping.contact_name(party.name):
            return Refused(_NAMELESS, cause="contact", field=PARTY)
        rows = self.by_key.get(mapping.contact_key(party.name), [])
        answers = [self._usable(row) for row in sorted(rows, key=lambda row: not _active(row))]
        return next((answer for answer in answers if isinstance(answer, str)), answers[0] if answers else None)

    def _usable(self, row: JSON) -> str | Outcome:
        """The row's id, or the one it was merged into."""
        seen = set()
        while row.get("MergedToContactID") and row["ContactID"] not in seen:
            seen.add(row["ContactID"])
            into = self.by_id.get(row["MergedToContactID"].lower())
            if into is None:
                break
            row = into
        if _active(row):
            return str(row["ContactID"])
        says = _ARCHIVED.format(name=row.get("Name", ""))
        return Refused(says, cause="contact_archived", field=PARTY)


def _active(row: JSON) -> bool:
    return str(row.get("ContactStatus", "ACTIVE")) == "ACTIVE"
