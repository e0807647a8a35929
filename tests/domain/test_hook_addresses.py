"""Addresses to which notices may be posted, in every notation of those to which they may not."""

import pytest

from booking.domain.hook_addresses import NOTHING, BadAddress, Inside, inside, is_public, may_reach, parsed

OURS = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://localhost/",
    "https://localhost./",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[ff02::1]/",
    "https://10.0.0.8/",
    "https://172.16.9.9/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://intranet/",
]
WRONG = [
    "",
    "hooks.example.org",
    "http://hooks.example.org/",
    "ftp://hooks.example.org/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/_HELO",
    "https://",
    "https:///path",
    "https://user:secret@hooks.example.org/",
    "https://hooks.example.org@127.0.0.1/",
    "https://hooks.example.org:99999/",
    "https://hooks.example.org:x/",
    "https://hooks.example.org/#part",
    "https://hooks.example.org\\@127.0.0.1/",
    "https://hooks.example.org/a b",
    "https://hooks.example.org/\r\nHost: x",
    "https://ⓛocalhost/",
    "https://127。0。0。1/",
    "https://[::1",
    "https://hooks.example.org/" + "x" * 1000,
]


@pytest.mark.parametrize("url", OURS)
def test_what_leads_into_our_own_network_is_refused_however_it_is_written(url):
    with pytest.raises(BadAddress) as refused:
        parsed(url)
    assert refused.value.code in {"not_public", "malformed"}


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address_of_the_web_is_refused(url):
    with pytest.raises(BadAddress):
        parsed(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a-b-c", "qyapi.weixin.qq.com"),
        ("https://oapi.dingtalk.com/robot/send?access_token=00ff", "oapi.dingtalk.com"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/0000-0000", "open.feishu.cn"),
        ("https://Hooks.Example.org:8443/a?b=c", "hooks.example.org"),
        ("https://xn--fiqs8s.example.org/", "xn--fiqs8s.example.org"),
        ("https://8.8.8.8/", "8.8.8.8"),
    ],
)
def test_addresses_of_the_public_internet_are_taken(url, host):
    assert parsed(url).hostname == host


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_is_public_in_every_form(address):
    assert is_public(address)


def test_what_is_no_ip_address_is_no_answer():
    with pytest.raises(ValueError, match="example"):
        is_public("example.org")


# --- what of our own network may be reached --------------------------------------------------------

OURS_TOO = inside(" 10.9.0.0/16, Bot.Lab., relay,fd00:9::/32 ,10.1.2.3,")


def test_a_list_of_networks_and_hosts_is_read():
    assert OURS_TOO.hosts == {"bot.lab", "relay"}
    assert [str(network) for network in OURS_TOO.networks] == ["10.9.0.0/16", "fd00:9::/32", "10.1.2.3/32"]
    assert inside(" , ") == NOTHING == Inside()


@pytest.mark.parametrize(
    "listed", ["10.9.0.1/16", "bot lab", "https://bot.lab", "0", "127.1", "*", "10.9.0.0/33"]
)
def test_a_list_with_anything_else_is_refused(listed):
    with pytest.raises(ValueError, match=r"IPv4|host bits"):
        inside(f"bot.lab,{listed}")


@pytest.mark.parametrize(
    "url",
    [
        "https://bot.lab/x",
        "https://BOT.lab./",
        "https://relay:8443/",
        "https://10.9.3.4/",
        "https://[fd00:9::1]/",
    ],
)
def test_what_is_listed_is_an_address_like_others(url):
    assert parsed(url, OURS_TOO)
    if "bot" not in url.lower():
        with pytest.raises(BadAddress):
            parsed(url)


@pytest.mark.parametrize("url", [*OURS, *WRONG, "https://10.8.0.1/", "https://relay.x/ ", "http://bot.lab/"])
def test_nothing_else_of_ours_is(url):
    with pytest.raises(BadAddress):
        parsed(url, OURS_TOO)


def test_a_listed_host_is_reached_wherever_it_leads_and_another_only_where_it_may():
    assert may_reach("bot.lab", "127.0.0.1", OURS_TOO)
    assert may_reach("any.example.org", "10.9.0.1", OURS_TOO)
    assert may_reach("any.example.org", "93.184.215.14", OURS_TOO)
    for address in (
        "127.0.0.1",
        "10.8.255.255",
        "10.10.0.0",
        "::ffff:10.9.0.1",
        "64:ff9b::a09:1",
        "fd00:8::1",
    ):
        assert not may_reach("any.example.org", address, OURS_TOO)
        assert not may_reach("not-bot.lab", address, OURS_TOO)
