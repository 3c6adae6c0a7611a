"""A copy of the database, and one that was restored, must not write by themselves (rule L10)."""

from io import StringIO

import pytest
from django.core.management import call_command

from pexsync.accounts import installation
from pexsync.accounts.models import Installation

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def test_an_empty_database_belongs_to_whoever_comes_first():
    assert installation.ours()
    assert Installation.objects.get().name == "tests"
    assert installation.restored_at() is None


def test_under_another_name_the_database_is_a_strangers(settings):
    assert installation.ours()
    settings.INSTALLATION_ID = "staging"
    assert not installation.ours()


def test_adopting_is_told_first_and_done_with_yes(settings):
    installation.ours()
    settings.INSTALLATION_ID = "staging"
    said = StringIO()
    call_command("adopt", stdout=said)
    assert "--yes" in said.getvalue()
    assert not installation.ours()
    call_command("adopt", "--yes", stdout=said)
    assert installation.ours()
    assert installation.restored_at() is not None
