import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.characters import hong_kong, simplified, traditional


@pytest.mark.parametrize(
    ("mainland", "there"),
    [
        ("场发射扫描电子显微镜", "場發射掃描電子顯微鏡"),
        ("喷雾干燥机", "噴霧乾燥機"),
        ("请登录后查看邮箱里的链接", "請登入後查看電郵裏的連結"),
        ("保存设置", "儲存設定"),
        ("“电镜”", "「電鏡」"),
        ("用户群", "用戶群"),
        ("SEM 2 h", "SEM 2 h"),
        ("", ""),
    ],
)
def test_hong_kong_has_its_own_characters_and_words(mainland, there):
    assert hong_kong(mainland) == there


def test_names_keep_their_words():
    assert traditional("莞仪在线") == "莞儀在線"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("掃描電子顯微鏡", "扫描电子显微镜"),
        ("噴霧乾燥", "喷雾干燥"),
        ("显微镜", "显微镜"),
        ("café 50 µm", "café 50 µm"),
        ("", ""),
    ],
)
def test_traditional_characters_are_read_as_simplified_ones(written, read):
    assert simplified(written) == read


@given(st.text(alphabet=st.characters(max_codepoint=0x2FFF), max_size=50))
def test_text_without_chinese_stays_as_it_is(text):
    assert hong_kong(text) == text
    assert simplified(text) == text
