"""Notices: one for each cause, however often it is told, until the cause is gone."""

from datetime import timedelta

import pytest

from connectors.models import Connection, Credential
from syncjobs import notices, runs, sweeper
from syncjobs.models import Export, Notice, SyncRun
from tests import make
from tests.syncjobs.following import POST

pytestmark = pytest.mark.database

Status = SyncRun.Status


def open_causes(world) -> dict[str, int]:
    return {notice.cause: notice.times for notice in Notice.objects.filter(business=world.business, ended_at=None)}


class TestTelling:
    def test_told_again_it_is_counted_and_keeps_since_when(self, acme, travel):
        notices.tell(acme.connection, "session", "Sign in to Xero again.")
        travel(days=2)
        notices.tell(acme.connection, "session", "Xero wants you to sign in again.")
        notice = Notice.objects.get()
        assert (notice.times, notice.says) == (2, "Xero wants you to sign in again.")
        assert notice.last_at - notice.since >= timedelta(days=2)

    def test_other_causes_and_other_businesses_are_notices_of_their_own(self, acme, sandbox):
        rival = make.world(sandbox, "Rival Roofing", 5520, "rita.rival")
        notices.tell(acme.connection, "session", "One.")
        notices.tell(acme.connection, "settings", "Two.")
        notices.tell(rival.connection, "session", "Three.")
        assert open_causes(acme) == {"session": 1, "settings": 1}
        assert [notice.says for notice in notices.of(rival.connection)] == ["Three."]

    def test_once_over_it_is_told_anew(self, acme):
        notices.tell(acme.connection, "session", "One.")
        assert notices.over(acme.connection, "session", "settings")
        assert not notices.over(acme.connection, "session")
        assert notices.of(acme.connection) == []
        notices.tell(acme.connection, "session", "Two.")
        assert Notice.objects.count() == 2
        assert open_causes(acme) == {"session": 1}

    def test_a_cause_without_a_heading_of_its_own_is_shown_too(self, acme):
        notices.tell(acme.connection, "moon", "The moon is full.")
        (shown,) = notices.of(acme.connection)
        assert (shown.says, shown.title, shown.link) == (
            "The moon is full.",
            "Xero has something to tell you.",
            "/xero/sync",
        )


class TestCauses:
    """Each begins where a sync stops, and ends with the next one that does not."""

    def fails(self, acme) -> None:
        assert acme.sync().status == Status.FAILED

    def goes_well(self, acme) -> None:
        assert acme.sync().status in (Status.SUCCESS, Status.PARTIAL)
        assert open_causes(acme) == {}

    def test_a_sign_in_the_books_ended(self, acme):
        acme.purchase("12.50")
        Credential.objects.filter(system="xero").update(state=Credential.State.DEAD, reason="Xero ended the sign-in.")
        self.fails(acme)
        assert open_causes(acme) == {"session": 1}
        acme.connection.refresh_from_db()
        with pytest.raises(runs.CannotStart, match="ended the sign-in"):
            acme.sync()
        Credential.objects.update(state=Credential.State.ALIVE)
        Connection.objects.update(state=Connection.State.READY)
        acme.connection.refresh_from_db()
        self.goes_well(acme)

    def test_a_sign_in_pex_ended(self, acme):
        acme.purchase("12.50")
        Credential.objects.filter(system="pex").update(state=Credential.State.DEAD, reason="PEX ended the sign-in.")
        self.fails(acme)
        self.fails(acme)
        assert open_causes(acme) == {"pex": 2}
        acme.connection.refresh_from_db()
        assert acme.connection.ready
        Credential.objects.update(state=Credential.State.ALIVE)
        self.goes_well(acme)

    def test_a_permission_that_was_taken_away(self, acme):
        acme.purchase("12.50")
        acme.admin.permissions.remove("ModifyTransactionNotes")
        self.fails(acme)
        assert open_causes(acme) == {"permission": 1}
        assert "Modify transaction notes" in Notice.objects.get().says
        acme.admin.permissions.add("ModifyTransactionNotes")
        self.goes_well(acme)

    def test_settings_no_row_survives(self, acme):
        acme.purchase("12.50")
        bank = acme.connection.settings["pex_account"]
        Connection.objects.update(preview_confirmed={"purchase": {}})
        acme.connection.refresh_from_db()
        acme.set(pex_account="gone")
        self.fails(acme)
        self.fails(acme)
        assert open_causes(acme) == {"settings": 2}
        acme.set(pex_account=bank)
        self.goes_well(acme)

    def test_rows_given_up_until_a_person_has_settled_them(self, acme, sandbox, travel):
        acme.purchase("12.50")
        sandbox.faults.add("drop_before", **POST)
        acme.sync()
        travel(hours=25)
        sweeper.give_up()
        assert open_causes(acme) == {"given_up": 1}
        assert acme.sync().status == Status.SUCCESS
        assert open_causes(acme) == {"given_up": 1}
        assert Export.objects.update(state="closed", cause="by_hand") == 1
        self.goes_well(acme)
