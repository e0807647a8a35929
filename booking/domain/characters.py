"""Chinese characters: Simplified to Traditional with Hong Kong's forms and words, and back for searching."""

import re
from functools import cache, lru_cache
from typing import Protocol

_FORMS = str.maketrans("羣麪牀户説脱鋭閲悦兑啓衞峯竈僞税“”‘’", "群麵床戶說脫銳閱悅兌啟衛峰灶偽稅「」『』")
"""What Hong Kong's readers see every day, for the forms and quotation marks that the dictionaries give."""

_WORDS = {
    "登錄": "登入",
    "註銷": "登出",
    "退出登錄": "登出",
    "默認": "預設",
    "設置": "設定",
    "信息": "資訊",
    "消息": "訊息",
    "視頻": "影片",
    "短信": "短訊",
    "程序": "程式",
    "數據庫": "資料庫",
    "文件": "檔案",
    "文檔": "文件",
    "支持": "支援",
    "郵箱地址": "電郵地址",
    "郵箱": "電郵",
    "郵件": "電郵",
    "鏈接": "連結",
    "賬號": "帳戶",
    "賬戶": "帳戶",
    "賬單": "帳單",
    "用戶名": "用戶名稱",
    "緩存": "快取",
    "加載": "載入",
    "刷新": "重新整理",
    "保存": "儲存",
    "添加": "新增",
    "拖動": "拖曳",
    "導入": "匯入",
    "導出": "匯出",
    "接口": "介面",
    "界面": "介面",
    "字符": "字元",
    "反饋": "意見",
    "激活": "啟用",
    "當前": "目前",
    "在線": "網上",
    "搜索": "搜尋",
    "光標": "游標",
    "模板": "範本",
    "二維碼": "QR 碼",
    "概率": "機率",
    "質量": "質素",
    "課題組": "研究組",
    "單擊": "按",
    "點擊": "按",
    "勾選": "剔選",
    "鼠標": "滑鼠",
    "服務器": "伺服器",
    "自助終端機": "自助服務機",
    "自助終端": "自助服務機",
    "渠道": "途徑",
    "聯繫": "聯絡",
    "上崗資質": "操作資格",
    "資質": "資格",
    "令牌": "權杖",
    "攝像頭": "鏡頭",
    "錄入": "輸入",
    "彙總": "總計",
    "高校": "大專院校",
    "移動電話": "流動電話",
    "手機": "手提電話",
    "屏幕": "螢幕",
    "打印": "列印",
    "出租": "租用",
}
"""Words that are said otherwise in Hong Kong, in Traditional characters; the longest that fits is taken."""

_HONG_KONG = re.compile("|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)))
_CHINESE = re.compile(r"[\u3400-\u9fff]")


class _Converter(Protocol):
    def convert(self, text: str) -> str: ...


@cache
def _converter(way: str) -> _Converter:
    # Its dictionaries take 40 MB, and only those who read or write Traditional characters need them.
    from opencc import OpenCC  # noqa: PLC0415

    converter: _Converter = OpenCC(way)
    return converter


@lru_cache(maxsize=10_000)
def traditional(text: str) -> str:
    """Give a text in Traditional characters as Hong Kong draws them; its words, which may be names, stay."""
    return _converter("s2hk").convert(text).translate(_FORMS) if _CHINESE.search(text) else text


def hong_kong(text: str) -> str:
    """Give a sentence in Traditional characters and in the words of Hong Kong."""
    return _HONG_KONG.sub(lambda match: _WORDS[match[0]], traditional(text))


def simplified(text: str) -> str:
    """Give a text in Simplified characters, as most of a catalogue is written; words stay as they are.

    A text that only has characters of GB/T 2312, the set of Simplified ones, is Simplified already.
    """
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return _converter("hk2s").convert(text) if _CHINESE.search(text) else text
    return text
