"""What chaos runs found, each as the smallest case that shows it."""

from connectors.pex.mapping import TagOption
from connectors.records import Option
from syncjobs.coding import Choices
from tagging import options


def test_the_first_rename_of_a_list_is_done_once_more_when_its_write_was_lost():
    """The options were there before we first filled the list, under the books' ids, as another connector left them."""
    there = [TagOption("id-1", "Harbor View")]
    wanted = [Option("id-1", "Harbor View, part 2")]
    first = options.plan(there, wanted, {}, Choices(wanted).match)
    assert first.renamed == (("Harbor View", "Harbor View, part 2"),)
    remembered = options.settled(there, {}, first.memory)
    assert options.plan(there, wanted, remembered, Choices(wanted).match).renamed == first.renamed
