"""The text that the catalogue's search reads, and the words of a query."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from booking.domain.characters import simplified

LONGEST_QUERY = 200
MOST_WORDS = 8
PIECE = 3
"""So many letters side by side are what an index knows of a text; PostgreSQL's function has the same number."""

SYNONYMS: tuple[frozenset[str], ...] = (
    frozenset({"扫描电子显微镜", "扫描电镜", "sem"}),
    frozenset({"透射电子显微镜", "透射电镜", "tem"}),
    frozenset({"电子显微镜", "电镜", "electron microscope"}),
    frozenset({"共聚焦显微镜", "共聚焦", "confocal"}),
    frozenset({"光刻机", "光刻", "lithography", "stepper"}),
    frozenset({"电子束曝光机", "电子束光刻", "ebl"}),
    frozenset({"刻蚀", "蚀刻", "etcher", "etching"}),
    frozenset({"等离子体增强化学气相沉积", "pecvd"}),
    frozenset({"液相色谱-质谱联用", "液质联用", "液质", "lc-ms", "lcms"}),
    frozenset({"气相色谱-质谱联用", "气质联用", "气质", "gc-ms", "gcms"}),
    frozenset({"电感耦合等离子体质谱", "icp-ms", "icpms"}),
    frozenset({"x射线衍射", "xrd", "x-ray diffractometer"}),
    frozenset({"x射线自动检测", "axi"}),
    frozenset({"工业ct", "computed tomography"}),
    frozenset({"电波暗室", "emc", "电磁兼容"}),
    frozenset({"三坐标测量机", "三坐标", "cmm", "coordinate measuring"}),
    frozenset({"万能材料试验机", "拉力机", "utm", "universal testing"}),
    frozenset({"3d打印", "增材制造", "3d printer", "slm"}),
    frozenset({"发酵罐", "发酵", "fermenter", "fermentor", "bioreactor", "生物反应器"}),
    frozenset({"喷雾干燥", "spray dryer", "spray drier"}),
    frozenset({"冷冻干燥", "冻干", "freeze dryer", "lyophiliser", "lyophilizer"}),
    frozenset({"超高温灭菌", "uht"}),
    frozenset({"膜分离", "超滤", "纳滤", "membrane"}),
    frozenset({"反应釜", "reactor"}),
    frozenset({"充放电测试", "cycler", "电池循环"}),
    frozenset({"化成分容", "formation and grading", "化成"}),
    frozenset({"加速量热", "arc", "calorimeter"}),
    frozenset({"涂布机", "涂布", "coater", "coating"}),
    frozenset({"粉末衍射", "powder diffractometer"}),
    frozenset({"小角散射", "sans"}),
    frozenset({"流式细胞", "flow cytometer", "facs"}),
    frozenset({"核磁共振", "nmr"}),
    frozenset({"盐雾", "salt spray", "salt-spray"}),
    frozenset({"高低温", "temperature chamber", "thermal chamber"}),
    frozenset({"贴片", "smt"}),
    frozenset({"数控加工", "加工中心", "cnc", "machining centre", "machining center"}),
)
"""Words that mean the same; a text that holds one is found by all of its group."""

_HAN = re.compile(r"[\u3400-\u9fff]+")
_PARTS = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_BETWEEN = re.compile(r"[\s,;、，；。()\[\]{}（）【】\"'“”‘’《》/|]+")


def words(query: str) -> list[str]:
    """Give the words of a query: NFKC, lower case, without controls and punctuation, the first eight.

    Words in Traditional characters become Simplified ones, as `text` writes them too.
    """
    plain = "".join(" " if unicodedata.category(ch)[0] == "C" else ch for ch in query[:LONGEST_QUERY])
    folded = simplified(unicodedata.normalize("NFKC", plain).lower())
    return list(dict.fromkeys(word for word in _BETWEEN.split(folded) if word))[:MOST_WORDS]


def pieces(word: str) -> list[str]:
    """Give pieces of three letters that lie in every text that holds the word; a shorter word is one itself.

    A single letter that is not Chinese lies nearly everywhere, and is none.
    """
    if len(word) < PIECE:
        return [word] if len(word) > 1 or _HAN.match(word) else []
    starts = {*range(0, len(word) - PIECE, PIECE), len(word) - PIECE}
    return list(dict.fromkeys(word[start : start + PIECE] for start in sorted(starts)))


def pinyin(characters: str) -> list[str]:
    """Give the sound of each Chinese character as it is typed, without tones."""
    # The dictionary takes 30 MB, and only those who write instruments need it.
    from pypinyin import lazy_pinyin  # noqa: PLC0415

    return lazy_pinyin(characters)


def sounds(name: str) -> list[str]:
    """Give how somebody may type a Chinese name: `saomiao`, `sao miao`, `sm` and `s m` for 扫描.

    Letters and digits among the characters stay as they are.
    """
    if not _HAN.search(name):
        return []
    syllables: list[str] = []
    initials: list[str] = []
    for part in _PARTS.findall(unicodedata.normalize("NFKC", name).lower()):
        heard = pinyin(part) if _HAN.match(part) else [part]
        syllables += heard
        initials += [sound[0] for sound in heard] if _HAN.match(part) else [part]
    return ["".join(syllables), " ".join(syllables), "".join(initials), " ".join(initials)]


def text(names: Sequence[str], others: Iterable[str]) -> str:
    """Give the text that words are looked for in: lower case, a space before and after every word.

    Traditional characters become Simplified ones. `names` are also found by their pinyin and initials; both they
    and the others by their synonyms.
    """
    written = [unicodedata.normalize("NFKC", part).lower() for part in (*names, *others) if part]
    plain = list(dict.fromkeys(simplified(part) for part in written))
    known = " ".join(plain)
    more = sorted({word for group in SYNONYMS if _mentions(known, group) for word in group})
    heard = [sound for name in names for sound in sounds(name)]
    parts = dict.fromkeys([*plain, *heard, *(word for word in more if word not in known)])
    return " " + re.sub(r"\s+", " ", " ".join(parts)) + " "


def _mentions(known: str, group: frozenset[str]) -> bool:
    return any(_HAN.search(word) and word in known for word in group) or any(
        re.search(rf"\b{re.escape(word)}\b", known) for word in group if not _HAN.search(word)
    )
