"""What engines compile in a test comes from no test before, and leaves nothing behind."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
