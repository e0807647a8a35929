"""Which passwords are accepted: long enough, not among the first tried; no rules of composition."""

import re

SHORTEST = 8
LONGEST = 256

_LEET = str.maketrans("@4301$57!", "aaeoissti")
_COMMON = frozenset(
    """
    password passwort passw0rd motdepasse contrasena wachtwoord mima mimamima woaini woaiwojia
    wobuzhidao woshishui woaizhongguo zhongguo nihao nihaoma xiaoming baobao beijing shanghai guangdong
    dongguan guangxi qwerty qwertz azerty qwertyuiop qwertyui asdfghjkl asdfasdf asdfgh asdf zxcvbnm
    zxcvbn zxcv qazwsx qazwsxedc qweasd qweasdzxc qwer qwerasdf qweqwe poiuytrewq lkjhgfdsa mnbvcxz
    abcdefg abcdefgh abcdef abcd abc abcabc letmein welcome iloveyou iloveu loveme lovely sunshine
    princess monkey dragon football baseball basketball superman batman spiderman starwars pokemon
    master shadow michael jordan jennifer michelle charlie daniel jessica ashley nicole hunter harley
    ranger buster thomas robert andrew joshua matthew anthony william admin administrator root toor
    guest user test testing tester demo default changeme change secret trustno login access system
    server manager computer internet samsung google facebook linkedin microsoft windows apple android
    iphone huawei xiaomi tencent alibaba baidu taobao wechat weixin freedom whatever killer cookie
    flower summer winter spring autumn monday friday january december cheese chocolate banana orange
    purple yellow silver golden diamond forever family friends friend hello helloworld mustang corvette
    ferrari mercedes porsche yamaha soccer hockey tennis liverpool arsenal chelsea barcelona lab labor
    laboratory science research university student professor teacher booking yiqi instrument instruments
    equipment facility pilotplant
    """.split()  # noqa: SIM905 - a list of quoted words reads worse
)
_SEQUENCES = (
    "01234567890123456789",
    "09876543210987654321",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "147258369",
    "789456123",
    "11235813213455",
    "31415926535",
    "5201314",
    "1314520",
)


def fault(password: str, *names: str) -> str | None:
    """Give the code of what is wrong with a new password, None if it will do.

    `names` are those of the person and the parts of their address, which others try first. Common words count
    as such with digits and signs around them and with digits for letters.
    """
    if len(password) < SHORTEST:
        return "short_password"
    if len(password) > LONGEST:
        return "too_long_text"
    return "common" if is_common(password, *names) else None


def is_common(password: str, *names: str) -> bool:
    """Tell whether the password is among the first that anybody would try."""
    plain = password.casefold()
    if len(set(plain)) <= 2 or _repeats(plain) or any(plain in sequence for sequence in _SEQUENCES):
        return True
    known = _COMMON | {name.casefold() for name in names if len(name) >= 3}
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    if not core:
        return _is_run_or_date(plain)
    return not known.isdisjoint({plain, core, plain.translate(_LEET), core.translate(_LEET)})


def _repeats(plain: str) -> bool:
    """Tell whether a piece of at most four characters makes up the whole."""
    return any(plain == (plain[:size] * (len(plain) // size + 1))[: len(plain)] for size in range(1, 5))


def _is_run_or_date(digits: str) -> bool:
    """Tell whether a number is a run or a date, as `12345678`, `20010101` and `01012001` are."""
    only = re.sub(r"\D", "", digits)
    if any(sequence[start : start + 6] in only for sequence in _SEQUENCES[:2] for start in range(10)):
        return True
    return bool(re.fullmatch(r"(19|20)\d\d[01]\d[0-3]\d|[0-3]\d[01]\d(19|20)\d\d", only))
