"""Messages as the programs of this world send them, with the figures of a test put in."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

FOLDER = Path(__file__).parent
CHINA = ZoneInfo("Asia/Shanghai")
PROGRAMS = ("google", "outlook", "apple", "thunderbird")


def message(
    name: str,
    *,
    start: datetime,
    end: datetime,
    address: str = "",
    mailbox: str = "",
    uid: str = "",
    answer: str = "",
    sequence: int = 0,
    sent: datetime = datetime(2026, 11, 2, 7, tzinfo=UTC),
    message_id: str = "1",
    changed: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Give a stored message about this time; `changed` are pieces of it that are other in this test."""
    text = (FOLDER / f"{name}.eml").read_bytes().decode()
    for old, new in changed:
        if old not in text:
            raise ValueError(old)
        text = text.replace(old, new)
    figures = {
        "start": f"{start:%Y%m%dT%H%M%SZ}",
        "end": f"{end:%Y%m%dT%H%M%SZ}",
        "local_start": f"{start.astimezone(CHINA):%Y%m%dT%H%M%S}",
        "local_end": f"{end.astimezone(CHINA):%Y%m%dT%H%M%S}",
        "stamp": f"{sent:%Y%m%dT%H%M%SZ}",
        "sequence": str(sequence),
        "address": address,
        "mailbox": mailbox,
        "uid": uid,
        "answer": answer,
        "message_id": message_id,
    }
    for figure, value in figures.items():
        text = text.replace(f"{{{figure}}}", value)
    return text.encode()
