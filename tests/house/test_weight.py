"""What a server loads when it starts: nothing that only some requests, or other programs, need."""

import subprocess
import sys

import pytest

HEAVY = (
    *("ortools", "numpy", "pandas", "openpyxl", "opencc", "alembic", "apscheduler", "gunicorn"),
    *("qrcode", "segno", "PIL", "lxml", "dns", "pypinyin", "aiosmtpd", "chinese_calendar", "reportlab"),
)


@pytest.mark.parametrize("module", ["booking.app", "booking.cli"])
def test_what_few_need_is_not_loaded_at_the_start(module):
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = {name.partition(".")[0] for name in told.stdout.split()}
    assert loaded & set(HEAVY) == set()
