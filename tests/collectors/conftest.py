"""The faults that a network's contract tests are run with are its own (`CollectorContract.faults`)."""

from __future__ import annotations

import pytest

from tests.collectors.contract_suite import CollectorContract


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames and metafunc.cls is not None and issubclass(metafunc.cls, CollectorContract):
        metafunc.parametrize("fault", metafunc.cls.faults())
