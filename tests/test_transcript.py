"""The README shows what the demo really prints."""

from tests import transcript


def test_the_readme_shows_a_real_run() -> None:
    shown, real = transcript.mask(transcript.published()), transcript.mask(transcript.run())
    assert shown.splitlines() == real.splitlines(), "the demo prints something else by now: make transcript"
