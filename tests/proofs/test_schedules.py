"""The state machine of tests/proofs/schedules.py, a small number of schedules; `make soak` runs 10,000."""

from tests.proofs.schedules import Schedule

TestSchedule = Schedule.TestCase
