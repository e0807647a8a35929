"""Builds the web application."""

from flask import Flask
from jinja2 import StrictUndefined
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

from booking import api, db, feeds, i18n, web
from booking.config import Settings
from booking.domain import access
from booking.http import (
    admission,
    crowds,
    csrf,
    headers,
    identity,
    intake,
    limits,
    locale,
    logs,
    maps,
    metrics,
    problems,
    replica,
    routing,
    static,
)
from models import guards

MEGABYTE = 1024 * 1024


class NotReady(Exception):
    """The database is not as this version of Yiqi needs it."""


def create_app(settings: Settings | None = None, *, check: bool = True) -> Flask:
    """Build the application on the settings' database.

    :raises NotReady: if migrations or guards of the ledger are missing, unless `check` is off
    """
    settings = settings or Settings.from_env()
    engine = db.init(settings.url, pool_size=settings.pool_size, **settings.connecting)
    if check:
        _check_database(engine)
    app = Flask("booking", template_folder="../templates", static_folder="../static")
    app.url_rule_class = routing.LateRule
    app.extensions["yiqi"] = settings
    app.config.update(_flask_settings(settings))
    _shape_templates(app)
    static.init(app)
    if settings.proxy_hops:
        # Not x_host: links come from the public URL, and a proxy passes the Host on.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxy_hops, x_proto=settings.proxy_hops
        )
    # In this order before a view and in reverse after it, so that the log line sees the whole answer.
    logs.init(app, settings.log_level)
    metrics.init(app)
    locale.init(app, settings.default_locale, pseudo=settings.pseudo_locale)
    headers.init(app, production=settings.production)
    maps.init(app)
    admission.init(app, patience=settings.patience_seconds)  # before anything is read
    crowds.init(app)
    identity.init(app)
    intake.init(app)
    csrf.init(app)
    intake.init_types(app)
    limits.init(app, per_minute=settings.requests_per_minute)
    replica.init(app, settings)
    for edge in (web, api, feeds):
        edge.register(app)
    problems.init(app)  # last, so that no extension's own handlers stand in its way
    return app


def _flask_settings(settings: Settings) -> dict[str, object]:
    fallbacks = [key.strip() for key in settings.secret_key_fallbacks.split(",") if key.strip()]
    return {
        "SECRET_KEY": settings.key(),
        "SECRET_KEY_FALLBACKS": fallbacks,
        # The prefix makes browsers refuse a cookie that another subdomain or plain HTTP set.
        "SESSION_COOKIE_NAME": "__Host-yiqi" if settings.production else "yiqi",
        "SESSION_COOKIE_SECURE": settings.production,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PATH": "/",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": settings.session_days * 24 * 3600,
        "MAX_CONTENT_LENGTH": MEGABYTE,
        "MAX_FORM_MEMORY_SIZE": MEGABYTE,
        "MAX_FORM_PARTS": 200,
        "SEND_FILE_MAX_AGE_DEFAULT": 3600,
    }


def _shape_templates(app: Flask) -> None:
    app.jinja_options = {
        "undefined": StrictUndefined,
        "extensions": ["jinja2.ext.i18n"],
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
    environment = app.jinja_env
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext
    )
    environment.globals.update(
        actor=LocalProxy(identity.actor),
        may=lambda action, subject=access.NOTHING: access.may(identity.actor(), action, subject),
        could=lambda action: access.could(identity.actor(), action),
        name_of=i18n.name_of,
        either=i18n.either,
        locales=i18n.LOCALES,
        current_locale=i18n.current_locale,
        language_tag=i18n.language_tag,
        utc_now=identity.utc_now,
        utc_offset=i18n.utc_offset,
    )
    environment.filters.update(
        datetime=i18n.format_datetime,
        deadline=i18n.format_deadline,
        date=i18n.format_date,
        time=i18n.format_time,
        money=i18n.format_money,
        large_money=i18n.format_large_money,
        number=i18n.format_number,
        duration=i18n.format_duration,
    )


def _check_database(engine: Engine) -> None:
    """Refuse to serve what would break later, or worse, would let pass what the ledger's guards refuse."""
    newest = db.newest_migration()
    try:
        with engine.connect() as connection:
            at = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            lacking = guards.missing(connection) if at == newest else []
    except DBAPIError as error:
        raise NotReady(f"the database cannot be read; run `yiqi setup` first ({error.orig})") from None
    if at != newest:
        raise NotReady(f"the database is at migration {at}, this version needs {newest}; run `yiqi setup`")
    if lacking:
        raise NotReady(
            f"the database lacks guards against double booking: {', '.join(lacking)}; run `yiqi setup`"
        )
