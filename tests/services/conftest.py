"""What holds for every test of the services."""

from collections.abc import Sequence

import pytest

from booking import wording
from booking.domain.rules import Reason, Refused
from booking.i18n import use_locale


@pytest.fixture(autouse=True)
def every_refusal_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say each refusal that a test meets in both languages: no sentence lacks a figure that it names."""
    keep = Refused.__init__

    def say_and_keep(self: Refused, reasons: Sequence[Reason], *more: object) -> None:
        for reason in reasons:
            for locale in ("en", "zh_Hans_CN"):
                with use_locale(locale):
                    said = wording.sentence(reason.code, reason.params)
                if "%(" in said or "None" in said:
                    pytest.fail(said)
        keep(self, reasons, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Refused, "__init__", say_and_keep)
