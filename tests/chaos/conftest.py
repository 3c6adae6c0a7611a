from tests.syncjobs.conftest import acme  # noqa: F401  # the same world
