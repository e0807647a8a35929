"""The timetable: what the jobs process does, and how often."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from booking import db, i18n
from booking.config import Settings
from booking.gateways import logs
from booking.jobs import (
    approvals,
    attendance,
    certificates,
    deliver,
    digests,
    hooks,
    invitations,
    leader,
    mailbox,
    move_questions,
    permits,
    prune,
    pull_calendars,
    release_holds,
    reminders,
    replans,
    resolve,
    transfers,
    waitlist,
    waitlist_rules,
    waitlist_windows,
)
from booking.services import jobs, notifications

NOTED_EVERY = timedelta(minutes=1)
"""How often it is noted that a job still does well."""

POLL = 1.0
"""Seconds after which one who does not lead looks again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is done, and every how many seconds."""

    name: str
    seconds: float
    work: Callable[[Settings, Callable[[], bool]], None]


TIMETABLE = (
    Job("deliver", 2, deliver.run),
    Job("hooks", 2, hooks.run),
    Job("invitations", 2, invitations.run),
    Job("mailbox", 60, mailbox.run),
    Job("digests", 30, digests.run),
    Job("release_holds", 30, release_holds.run),
    Job("reminders", 60, reminders.run),
    Job("attendance", 30, attendance.run),
    Job("feedback", 600, attendance.run_feedback),
    Job("waitlist", 2, waitlist.run),
    Job("waitlist_windows", 60, waitlist_windows.run),
    Job("waitlist_rules", 300, waitlist_rules.run),
    Job("resolve", 2, resolve.run),
    Job("replans", 60, replans.run),
    Job("move_questions", 60, move_questions.run),
    Job("approvals", 60, approvals.run),
    Job("transfers", 60, transfers.run),
    Job("certificates", 3600, certificates.run),
    Job("permits", 3600, permits.run),
    Job("calendars", 10, pull_calendars.run),
    Job("prune", 3600, prune.run),
)


def utc_now() -> datetime:
    """Give the time: the clock of all jobs."""
    return datetime.now(UTC)


@dataclass
class Process:
    """The jobs process: waits until it leads, then keeps the timetable until it is told to stop."""

    settings: Settings
    stopping: threading.Event = field(default_factory=threading.Event)
    noted: dict[str, datetime] = field(default_factory=dict)

    def run(self) -> None:
        """Take part until `stopping` is set."""
        who = leader.Leader(leader.lock_for(self.settings))
        while not self.stopping.is_set():
            if who.campaign():
                self._lead(who)
            self.stopping.wait(POLL)

    def _lead(self, who: leader.Leader) -> None:
        self.noted.clear()
        if who.succeeds_the_dead:
            with db.transaction() as session:
                notifications.give_back(session, now=utc_now())
        halted = threading.Event()
        scheduler = self._scheduler(who, halted)
        scheduler.start()
        try:
            while not self.stopping.wait(leader.BEAT):
                if not who.lives():
                    _log.warning("somebody else leads now")
                    return
        finally:
            halted.set()
            # What has begun may end; it does nothing that another could do again.
            scheduler.shutdown(wait=self.stopping.is_set())
            who.resign()

    def _scheduler(self, who: leader.Leader, halted: threading.Event) -> BackgroundScheduler:
        scheduler = BackgroundScheduler(timezone="UTC")
        for job in TIMETABLE:
            scheduler.add_job(
                self._tick,
                "interval",
                args=[job, who, halted],
                seconds=job.seconds,
                next_run_time=utc_now(),
                id=job.name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        return scheduler

    def _tick(self, job: Job, who: leader.Leader, halted: threading.Event) -> None:
        try:
            if halted.is_set() or not who.still_leads():
                return
            job.work(self.settings, halted.is_set)
            self._note(job.name)
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            _log.exception("a job failed", extra={"fields": {"job": job.name}})
            self._note_failure(job.name, error)

    def _note(self, name: str) -> None:
        now = utc_now()
        if now - self.noted.get(name, datetime.min.replace(tzinfo=UTC)) >= NOTED_EVERY:
            with db.transaction() as session:
                jobs.succeeded(session, job=name, now=now)
            self.noted[name] = now

    def _note_failure(self, name: str, error: Exception) -> None:
        self.noted.pop(name, None)
        try:
            with db.transaction() as session:
                jobs.failed(session, job=name, error=f"{type(error).__name__}: {error}", now=utc_now())
        except db.Unavailable:
            _log.warning("the failure could not be noted", extra={"fields": {"job": name}})


def main(settings: Settings, *, with_parent: bool = False) -> None:
    """Keep the timetable until SIGTERM or SIGINT, or, `with_parent`, the end of standard input."""
    logs.begin(settings.log_level)
    i18n.set_default(settings.default_locale)
    db.init(settings.url, pool_size=settings.pool_size, **settings.connecting)
    process = Process(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stopping.set())
    if with_parent:
        # The other end of the pipe is closed when the parent ends, however it ends.
        watch = threading.Thread(target=_wait_for_end, args=[process.stopping], daemon=True)
        watch.start()
    _log.info("jobs started")
    process.run()
    db.dispose()
    _log.info("jobs stopped")


def _wait_for_end(stopping: threading.Event) -> None:
    # Not sys.stdin: its lock, held in the midst of a read, stands in the way of the interpreter's end.
    while os.read(0, 1024):
        pass
    stopping.set()
