"""`yiqi doctor`: look at everything around the server, and say what to do about what is wrong."""

import platform
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from booking import config, db
from booking.cli import WRONG, check, read_settings, utc_now
from booking.config import Settings
from booking.gateways import files, imap, mail
from booking.services import health, jobs, notifications

JOBS_SILENT = timedelta(minutes=5)
CLOCKS_APART = timedelta(seconds=2)
OLD_BACKUP = timedelta(days=2)
VENDOR = Path(__file__).resolve().parent.parent.parent / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ✓ good, ! worth a thought, ✗ wrong; with what to do about it."""

    mark: str
    what: str
    remedy: str = ""


def good(what: str) -> Finding:
    """Give a line that asks for nothing."""
    return Finding("✓", what)


def doubt(what: str, remedy: str) -> Finding:
    """Give a line that is worth a thought."""
    return Finding("!", what, remedy)


def wrong(what: str, remedy: str) -> Finding:
    """Give a line that must be acted on."""
    return Finding("✗", what, remedy)


@click.command()
def doctor() -> int:
    """Look at everything around the server, and say what to do about what is wrong.

    ✓ is good, ! worth a thought, ✗ wrong; exit code 1 if anything is wrong. Sends no mail, changes nothing.
    """
    settings = read_settings()
    worst = 0
    for finding in findings(settings):
        click.echo(f"{finding.mark} {finding.what}")
        if finding.remedy:
            click.echo(f"    → {finding.remedy}")
        if finding.mark == "✗":
            worst = WRONG
    return worst


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield from _release()
    yield from _settings(settings)
    yield from _folder(settings)
    yield from _database(settings)
    yield from _mail(settings)
    yield from _mailbox(settings)


def _release() -> Iterator[Finding]:
    yield good(f"Yiqi {version('yiqi')} on Python {platform.python_version()}, {platform.platform()}")
    try:
        ZoneInfo("Asia/Shanghai")
    except ZoneInfoNotFoundError:
        yield wrong("there is no time zone data", "install the package tzdata")
    if not VENDOR.is_dir():
        yield doubt("the front-end packages are not installed", "run `./dev run`, or `npm ci` as it does")


def _settings(settings: Settings) -> Iterator[Finding]:
    for name in config.unknown():
        yield doubt(f"{name} is no setting", "correct or remove it; `yiqi config show` lists all")
    if not settings.production:
        yield doubt("production mode is off", "on a real server set YIQI_PRODUCTION=yes and YIQI_SECRET_KEY")
        return
    yield good("production mode is on")
    if not settings.public_url.startswith("https://"):
        yield wrong(
            f"people reach the server at {settings.public_url}",
            "put TLS before it, YIQI_PUBLIC_URL=https://…",
        )
    if settings.host_name == Settings.host_name:
        yield doubt(
            f"calendars know events by {settings.host_name}",
            "set YIQI_HOST_NAME to a name of your own before the first booking, and never change it",
        )
    if settings.proxy_hops == 0:
        yield doubt(
            "no proxy is trusted, so all people behind one share an address",
            "set YIQI_PROXY_HOPS to the number of proxies before the server",
        )


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.instance.resolve()
    if not folder.is_dir():
        yield wrong(f"the instance folder {folder} is missing", "run `yiqi setup`")
        return
    free = files.free_bytes(folder)
    yield good(f"instance folder {folder}, {free / 1_000_000_000:.1f} GB free")
    for path in (folder, folder / "secret_key"):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield doubt(f"others may look at {path}", f"chmod go= {path}")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        faults = check.look(settings)
        with db.reading() as session:
            about = health.about(session)
    except db.Unavailable as error:
        yield wrong(f"the database cannot be reached: {error}", "see that it runs, and YIQI_DATABASE_URL")
        return
    yield good(f"{about.engine} {about.version}")
    if about.clock is not None and abs(about.clock - utc_now()) > CLOCKS_APART:
        yield wrong(
            f"the database's clock says {about.clock:%H:%M:%S} UTC", "let both machines keep time by NTP"
        )
    for fault in faults:
        yield wrong(f"{fault.code}: {fault.detail}", check.REMEDIES[fault.code])
    if any(fault.code == "migrations" for fault in faults):
        return
    if not any(fault.code == "guards" for fault in faults):
        yield good("migrations are at the newest, and the guards against double booking stand")
    yield from _life(utc_now())


def _life(now: datetime) -> Iterator[Finding]:
    """Look at what the rows say of people, jobs, mail and backups."""
    with db.reading() as session:
        administrators = health.administrators(session)
        runs = {run.job: (run.succeeded_at, run.failed_at, run.error) for run in jobs.runs(session)}
        backlog = notifications.backlog(session, now=now)
    if not administrators:
        yield doubt("nobody administers", "yiqi users create YOU@… --role administrator")
    backup = runs.pop("backup", (None, None, ""))[0]
    if not runs:
        yield doubt("the jobs have never run", "start `yiqi jobs`, or `yiqi serve --with-jobs`")
    for name, (succeeded, failed, error) in runs.items():
        if error and failed and (succeeded is None or failed > succeeded):
            yield wrong(f"job {name} fails: {error}", "see the log of `yiqi jobs`")
    last = max((succeeded for succeeded, _, _ in runs.values() if succeeded), default=None)
    if last and now - last > JOBS_SILENT:
        yield wrong(f"the jobs have been silent since {last:%Y-%m-%d %H:%M} UTC", "start `yiqi jobs`")
    elif last:
        yield good("the jobs run")
    yield good(f"{backlog.waiting} messages wait")
    if backup is None or now - backup > OLD_BACKUP:
        when = f"{backup:%Y-%m-%d %H:%M} UTC" if backup else "never"
        yield doubt(f"last backup: {when}", "let a timer run `yiqi backup FILE`")
    else:
        yield good(f"last backup: {backup:%Y-%m-%d %H:%M} UTC")


def _mail(settings: Settings) -> Iterator[Finding]:
    if not settings.smtp_url:
        yield doubt(f"mail is written to {settings.instance / 'mail'}", "set YIQI_SMTP_URL to send it")
    try:
        mail.check(settings.smtp_url, sender=settings.mail_from, host=settings.host_name)
    except (mail.BadAddress, mail.Unreachable) as error:
        yield wrong(f"the mail server does not take us in: {error}", "see YIQI_SMTP_URL and YIQI_MAIL_FROM")
        return
    if settings.smtp_url:
        yield good("the mail server takes us in")


def _mailbox(settings: Settings) -> Iterator[Finding]:
    """Look at the way in, as far as there is one: what calendars answer, and instruments that are invited."""
    if settings.imap_url:
        try:
            with imap.mailbox(settings.imap_url) as folder:
                waiting = len(folder.unread(1000))
        except (mail.BadAddress, mail.Unreachable) as error:
            yield wrong(f"the mailbox does not let us in: {error}", "see YIQI_IMAP_URL")
        else:
            yield good(f"the mailbox lets us in; {waiting} unread")
    elif settings.reply_mailbox or settings.mail_domain:
        yield doubt(
            "no mailbox is read",
            "let the mail server hand messages to `yiqi mail receive`, or set YIQI_IMAP_URL",
        )
