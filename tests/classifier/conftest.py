"""One judge for all tests of the room: it is read only."""

import pytest

import classifier


@pytest.fixture(scope="session")
def judge():
    return classifier.load()
