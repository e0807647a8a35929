"""Every setting of Yiqi, once: its name, type, default and what it does. All come from the environment."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from booking.domain import calendars, hook_addresses
from booking.domain.incoming_mail import Doors

DEFAULT_SECRET = "change-me"  # noqa: S105 - what production refuses
SHORTEST_SECRET = 32
LANGUAGES = ("zh_Hans_CN", "zh_Hant_HK", "en")
FEED_SCOPES = ("me", "instrument", "facility", "project", "free", "network", "approvals")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class BadSetting(Exception):
    """A setting whose value cannot be used; the message names it."""


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """What the operator of the server decides. A field NAME is the variable YIQI_NAME; secrets also YIQI_NAME_FILE."""

    instance: Path = _setting(  # noqa: RUF009 - a field, made as dataclasses.field makes it
        Path("instance"),
        "Folder of all that the server keeps: database, mail, logs, keys.",
    )
    database_url: str = _setting(
        "", "SQLAlchemy address of the database; empty is SQLite in the instance folder.", secret=True
    )
    direct_database_url: str = _setting(
        "",
        "PostgreSQL itself where YIQI_DATABASE_URL is PgBouncer in transaction mode; for migrations and jobs.",
        secret=True,
    )
    read_database_url: str = _setting(
        "",
        "A PostgreSQL replica for feeds, catalogue, search and reports; empty reads everything in one.",
        secret=True,
    )
    read_lag_seconds: int = _setting(10, "A replica that is further behind is not read.")
    secret_key: str = _setting("", "Signs cookies; empty makes one in the instance folder.", secret=True)
    secret_key_fallbacks: str = _setting("", "Older keys, comma-separated, still accepted.", secret=True)
    production: bool = _setting(False, "Refuse to start on defaults that are not safe; secure cookies.")
    public_url: str = _setting(
        "http://127.0.0.1:8000", "Where people reach the server; links in mail start so."
    )
    host_name: str = _setting("yiqi.local", "The right half of calendar UIDs; never change it after set-up.")
    proxy_hops: int = _setting(
        0, "How many reverse proxies in front are trusted to tell the client's address."
    )
    bind: str = _setting("127.0.0.1:8000", "Address and port to serve on.")
    workers: int = _setting(0, "Web processes; 0 is 1 for SQLite and 2 for PostgreSQL.")
    threads: int = _setting(16, "Threads of each web process.")
    graceful_seconds: int = _setting(30, "How long requests in progress may take when the server stops.")
    pool_size: int = _setting(16, "Database connections that a process keeps.")
    statement_timeout_ms: int = _setting(15000, "PostgreSQL gives up a statement after this time.")
    smtp_url: str = _setting(
        "", "smtp://user:password@host:port (smtps:// for TLS); empty writes mail to files.", secret=True
    )
    mail_from: str = _setting("Yiqi <yiqi@localhost>", "The sender of mail.")
    reply_mailbox: str = _setting(
        "", "Mailbox that takes what calendars answer, such as yiqi@example.org; empty sends no invitations."
    )
    mail_domain: str = _setting(
        "", "Domain whose addresses all lead here, by which instruments are invited; empty is none."
    )
    mail_trusted: str = _setting(
        "", "Name under which your mail server writes Authentication-Results; empty trusts nobody's word."
    )
    imap_url: str = _setting(
        "", "imaps://user:password@host:port/folder, a mailbox that is read every minute.", secret=True
    )
    remind_minutes: str = _setting(
        "1440,60", "How many minutes before a booking starts its owner is reminded, comma-separated."
    )
    default_locale: str = _setting("zh_Hans_CN", "Language when neither person nor browser says.")
    pseudo_locale: bool = _setting(
        False, "Stretch and accent all English, to see on pages what is cut or not translated."
    )
    hook_networks: str = _setting(
        "",
        "Networks (192.0.2.0/28) and host names inside your own network that webhooks may reach, comma-separated.",
    )
    calendar_networks: str = _setting(
        "",
        "Networks and host names inside your own network from which calendars may be fetched, comma-separated.",
    )
    session_hours: int = _setting(12, "A session ends after so many idle hours.")
    session_days: int = _setting(14, "A session ends after so many days in any case.")
    sign_up: bool = _setting(True, "Whether people may make their own account.")
    metrics_token: str = _setting(
        "", "Bearer token that /metrics asks for; empty answers only loopback.", secret=True
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")
    rate_limits: bool = _setting(True, "Limit attempts to sign in, sign up and reset passwords.")
    requests_per_minute: int = _setting(
        1200, "API requests a minute for each person or address; 0 is no limit."
    )
    patience_seconds: int = _setting(
        3,
        "Who would wait longer for an answer gets a place in line and is told when to come; 0 lets all wait.",
    )
    feed_past_days: int = _setting(30, "How far back feeds reach.")
    feed_future_days: int = _setting(365, "How far ahead feeds reach.")
    feed_events: int = _setting(1000, "The most events of a feed.")
    feed_scopes: str = _setting(
        "",
        "Other bounds for some feeds: scope=days back/days ahead/most events (facility=7/90/2000), comma-separated.",
    )

    map_tiles: str = _setting(
        "", "Address of map tiles, https://host/{z}/{x}/{y}.png; empty draws places on a plain ground."
    )
    map_attribution: str = _setting("", "Who made the tiles, as they ask to be named on the map.")

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from the environment.

        :raises BadSetting: if a value is of the wrong form, or not safe in production
        """
        known = os.environ if env is None else env
        values = {f.name: _read(known, f.name, f.default, f.metadata["secret"]) for f in fields(cls)}
        settings = cls(**{name: value for name, value in values.items() if value is not None})
        settings._check()
        return settings

    def _check(self) -> None:
        if self.production and (self.secret_key == DEFAULT_SECRET or len(self.secret_key) < SHORTEST_SECRET):
            raise BadSetting(
                f"YIQI_SECRET_KEY: production wants a key of at least {SHORTEST_SECRET} characters"
            )
        for name, sound, wanted in (
            ("remind_minutes", _minutes(self.remind_minutes), "a list of minutes"),
            (
                "hook_networks",
                _sound(hook_addresses.inside, self.hook_networks),
                "a list of networks and hosts",
            ),
            (
                "calendar_networks",
                _sound(hook_addresses.inside, self.calendar_networks),
                "a list of networks and hosts",
            ),
            ("default_locale", self.default_locale in LANGUAGES, f"one of {', '.join(LANGUAGES)}"),
            ("log_level", self.log_level.upper() in LOG_LEVELS, f"one of {', '.join(LOG_LEVELS)}"),
            ("feed_past_days", self.feed_past_days >= 0, "0 or more"),
            ("feed_future_days", self.feed_future_days >= 1, "1 or more"),
            ("feed_events", self.feed_events >= 1, "1 or more"),
            ("feed_scopes", _sound(_bounds, self.feed_scopes), "a list like facility=7/90/2000"),
            ("public_url", self.public_url.startswith(("http://", "https://")), "an address, https://…"),
            ("reply_mailbox", _mailbox(self.reply_mailbox), "a plain mail address"),
            ("mail_domain", "@" not in self.mail_domain, "a domain without @"),
            ("map_tiles", _tiles(self.map_tiles), "an address like https://host/{z}/{x}/{y}.png"),
            ("workers", self.workers >= 0, "0 or more"),
            ("threads", self.threads >= 1, "1 or more"),
            ("patience_seconds", 0 <= self.patience_seconds <= 30, "0 to 30"),
            ("pool_size", self.pool_size >= 1, "1 or more"),
            ("read_lag_seconds", self.read_lag_seconds >= 1, "1 or more"),
            ("proxy_hops", self.proxy_hops >= 0, "0 or more"),
        ):
            if not sound:
                raise BadSetting(f"YIQI_{name.upper()}: {getattr(self, name)!r} is not {wanted}")

    @property
    def remind(self) -> tuple[int, ...]:
        """Give how many minutes before its start a booking is called to mind."""
        return tuple(sorted({int(part) for part in self.remind_minutes.split(",") if part.strip()}))

    @property
    def doors(self) -> Doors:
        """Give how mail reaches this server."""
        older = (key.strip() for key in self.secret_key_fallbacks.split(","))
        return Doors(
            mailbox=self.reply_mailbox,
            domain=self.mail_domain,
            trusted=self.mail_trusted,
            host=self.host_name,
            keys=(self.key(), *filter(None, older)),
        )

    @property
    def hooks_inside(self) -> hook_addresses.Inside:
        """Give what of our own network webhooks may reach."""
        return hook_addresses.inside(self.hook_networks)

    @property
    def calendars_inside(self) -> hook_addresses.Inside:
        """Give what of our own network calendars may be fetched from."""
        return hook_addresses.inside(self.calendar_networks)

    @cached_property
    def feed_rules(self) -> Mapping[str, calendars.FeedRules]:
        """Give the bounds of the feeds that have other bounds than the rest."""
        return _bounds(self.feed_scopes)

    @property
    def url(self) -> str:
        """Give the database's address, SQLite in the instance folder by default."""
        return self.database_url or f"sqlite:///{self.instance.resolve() / 'yiqi.sqlite3'}"

    @property
    def direct_url(self) -> str:
        """Give the address of the database without a pooler between."""
        return self.direct_database_url or self.url

    @property
    def pooled(self) -> bool:
        """Tell whether PgBouncer stands before the database."""
        return bool(self.direct_database_url)

    @property
    def connecting(self) -> dict[str, Any]:
        """Give how to connect to the database, by the names of `db.init`."""
        return {"statement_timeout_ms": self.statement_timeout_ms, "pooled": self.pooled}

    @property
    def sqlite(self) -> bool:
        """Tell whether the embedded database is used."""
        return self.url.startswith("sqlite")

    def key(self) -> str:
        """Give the signing key: the setting, or one made once and kept in the instance folder."""
        if self.secret_key:
            return self.secret_key
        path = self.instance / "secret_key"
        if not path.exists():
            self.instance.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(48))
            try:
                os.link(fresh, path)  # the first of several processes wins, and all read the winner's
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_text()


def _read(env: Mapping[str, str], name: str, default: Any, secret: bool) -> Any:
    variable = f"YIQI_{name.upper()}"
    raw = env.get(variable)
    if raw is None and secret and (path := env.get(f"{variable}_FILE")):
        try:
            raw = Path(path).read_text().strip()
        except OSError as error:
            raise BadSetting(f"{variable}_FILE: {error.strerror}") from None
    if raw is None:
        return None
    try:
        return _parse(raw, type(default))
    except ValueError:
        shown = "its value" if secret else repr(raw)
        raise BadSetting(f"{variable}: {shown} is no {type(default).__name__}") from None


def _sound(read: Callable[[str], Any], listed: str) -> bool:
    try:
        read(listed)
    except ValueError:
        return False
    return True


def _bounds(listed: str) -> dict[str, calendars.FeedRules]:
    return calendars.rules_by_scope(listed, FEED_SCOPES)


def _mailbox(address: str) -> bool:
    """Tell whether an address can carry what is put after a plus sign; none at all is right too."""
    local, _, host = address.rpartition("@")
    return not address or bool(
        local and host and "+" not in local and address.isprintable() and " " not in address
    )


def _tiles(address: str) -> bool:
    """Tell whether the address is one of tiles: its host goes into a header, so it is plain."""
    wanted = all(name in address for name in ("{z}", "{x}", "{y}"))
    return not address or bool(wanted and re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d+)?/\S+", address))


def _minutes(listed: str) -> bool:
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    return all(part.isdecimal() and int(part) > 0 for part in parts)


def _parse(raw: str, kind: type) -> Any:
    if kind is bool:
        if raw.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise ValueError(raw)
        return raw.lower() in {"1", "true", "yes"}
    return kind(raw)


def unknown(env: Mapping[str, str] | None = None) -> list[str]:
    """Give the variables that start with YIQI_ and mean nothing, most likely misspelt."""
    known = {f"YIQI_{f.name.upper()}" for f in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    return sorted(
        name
        for name in (os.environ if env is None else env)
        if name.startswith("YIQI_") and name not in known
    )
