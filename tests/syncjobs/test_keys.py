from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Source
from syncjobs import keys

IDS = st.integers(min_value=1, max_value=2**63 - 1)


@given(st.sampled_from(Source), IDS, st.integers(min_value=1, max_value=99))
def test_a_key_is_short_and_leads_back_to_its_transaction(source, pex_id, generation):
    key = keys.key(source, pex_id, generation)
    assert len(key) <= 20
    assert keys.find_key(f"Synced with Xero · {key}") == keys.Name(source, pex_id, generation)


@given(st.sets(st.tuples(st.sampled_from(Source), IDS, st.integers(min_value=1, max_value=99)), min_size=2, max_size=9))
def test_no_two_transactions_share_a_key(names):
    assert len({keys.key(*name) for name in names}) == len(names)


def test_the_key_is_written_as_documented():
    assert keys.key(Source.TRANSACTION, 700000123) == "PEXT700000123"
    assert keys.key(Source.STATEMENT_PAYMENT, 5, 2) == "PEXS5-2"
    assert keys.key(Source.TRANSACTION, 10**13) == "PEXX3JLXPT2PS"


def test_a_longer_word_is_not_taken_for_a_key():
    assert keys.find_key("PEXT12345678901234") is None
    assert keys.find_key("PEXT700000123X") is None
    assert keys.find_key("Synced with Xero") is None


def test_a_key_in_small_letters_is_read_too():
    assert keys.find_key("synced with xero · pext12-3") == keys.Name(Source.TRANSACTION, 12, 3)
