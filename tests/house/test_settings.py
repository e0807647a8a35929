"""Settings come from the environment or from files, and bad ones are named."""

from dataclasses import fields

import pytest

from booking import config, i18n
from booking.config import DEFAULT_SECRET, BadSetting, Settings


def test_without_an_environment_there_are_defaults():
    found = Settings.from_env({})
    assert found == Settings()
    assert found.remind == (60, 1440)
    assert found.url.startswith("sqlite:///")


def test_values_are_of_their_types():
    found = Settings.from_env({"YIQI_WORKERS": "3", "YIQI_SIGN_UP": "no", "YIQI_INSTANCE": "/srv/yiqi"})
    assert (found.workers, found.sign_up, str(found.instance)) == (3, False, "/srv/yiqi")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YIQI_WORKERS", "many"),
        ("YIQI_PRODUCTION", "maybe"),
        ("YIQI_REMIND_MINUTES", "soon"),
        ("YIQI_REMIND_MINUTES", "60,-5"),
        ("YIQI_REMIND_MINUTES", "0"),
        ("YIQI_DEFAULT_LOCALE", "fr"),
        ("YIQI_LOG_LEVEL", "LOUD"),
        ("YIQI_PUBLIC_URL", "yiqi.example.org"),
        ("YIQI_WORKERS", "-1"),
        ("YIQI_THREADS", "0"),
        ("YIQI_PROXY_HOPS", "-1"),
        ("YIQI_HOOK_NETWORKS", "10.0.0.1/8"),
        ("YIQI_REPLY_MAILBOX", "Yiqi <yiqi@example.org>"),
        ("YIQI_REPLY_MAILBOX", "yiqi+more@example.org"),
        ("YIQI_MAIL_DOMAIN", "yiqi@example.org"),
        ("YIQI_HOOK_NETWORKS", "https://bot.lab/"),
        ("YIQI_MAP_TILES", "https://tiles.lab/map.png"),
        ("YIQI_MAP_TILES", "https://tiles.lab; script-src */{z}/{x}/{y}"),
    ],
)
def test_a_value_of_the_wrong_form_is_named(name, value):
    with pytest.raises(BadSetting, match=name):
        Settings.from_env({name: value})


def test_the_languages_to_choose_from_are_those_that_are_offered():
    assert set(config.LANGUAGES) == set(i18n.LOCALES)


def test_reminders_may_be_off():
    assert Settings.from_env({"YIQI_REMIND_MINUTES": ""}).remind == ()


@pytest.mark.parametrize("secret", ["", DEFAULT_SECRET, "short"])
def test_production_refuses_a_weak_key(secret):
    with pytest.raises(BadSetting, match="YIQI_SECRET_KEY"):
        Settings.from_env({"YIQI_PRODUCTION": "yes", "YIQI_SECRET_KEY": secret})


@pytest.mark.parametrize("name", [f.name for f in fields(Settings) if f.metadata["secret"]])
def test_a_secret_may_come_from_a_file(tmp_path, name):
    path = tmp_path / "secret"
    path.write_text("from a file of thirty-two characters\n")
    found = Settings.from_env({f"YIQI_{name.upper()}_FILE": str(path)})
    assert getattr(found, name) == "from a file of thirty-two characters"
    with pytest.raises(BadSetting, match=f"YIQI_{name.upper()}_FILE"):
        Settings.from_env({f"YIQI_{name.upper()}_FILE": str(tmp_path / "none")})


def test_what_is_no_setting_does_not_come_from_a_file(tmp_path):
    path = tmp_path / "n"
    path.write_text("3")
    assert Settings.from_env({"YIQI_WORKERS_FILE": str(path)}).workers == 0


def test_misspelt_variables_are_found():
    given = {"YIQI_WORKER": "2", "YIQI_WORKERS": "2", "YIQI_SECRET_KEY_FILE": "x", "PATH": "x"}
    assert config.unknown(given) == ["YIQI_WORKER"]


def test_the_key_is_made_once_and_kept_for_its_owner(tmp_path):
    settings = Settings(instance=tmp_path)
    key = settings.key()
    assert len(key) >= 32
    assert Settings(instance=tmp_path).key() == key
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
