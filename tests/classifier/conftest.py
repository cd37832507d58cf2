"""One judge for all tests of the room: it is read only."""

import pytest

import classifier


@pytest.fixture(scope="session")
def judge():
    return classifier.load()


@pytest.fixture(scope="session")
def tiny():
    """(arrays, meta) of a small model of its own, made in a second."""
    from classifier import train

    few = [e for e in train.own_examples() if e.group in ("gas", "waste", "-")]
    return train.train(few[::2])


@pytest.fixture(scope="session")
def village(tmp_path_factory):
    """A gazetteer that loads at once."""
    path = tmp_path_factory.mktemp("village") / "places.csv"
    path.write_text("name,kind,district\nДубравино,село,Лесной район\n", encoding="utf-8")
    return path
