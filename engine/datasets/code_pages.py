"""Names in old zips: bytes in the code page of the machine that packed them, which the zip does not name.

Each code page is tried, and the text that looks most like a name is taken: whole words of one script, in letters that
are in use, without capitals inside of words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CODE_PAGES = ("cp437", "cp850", "cp1252", "gbk", "shift_jis", "big5", "euc_kr", "cp1251", "cp866", "cp852", "cp1250")
"""In this order if several texts look alike; that of DOS comes first, as the zip format says."""

_WORD = re.compile(r"[^\W\d_]+")
_COMMON_LATIN = frozenset("äöüßéèêëàâáåæçñóòôøíìîïúùûÄÖÜÉÈÀÂÅÆÇÑÓØÍÚ")
_COMMON_HANGUL = frozenset(
    "이다의가에는을하고지기사리로한도나자어시은대인서아과해그정를수부일들원장상제보전있주게구동면국스와라유공조경조소세선방조"
    "마성영여신관비무간미물용모안생연트만음진화개실발계회위학중단내분교입문행오재작양법통래터성설된결직반요합체표적치카크이미"
    "포저치환폐종검사영상데터목록새폴더명호번월년훈련검증테라벨류"
)
"""Frequent Korean syllables: the bytes of any two are as well two common Chinese characters."""


@lru_cache(4096)
def decoded(name: bytes) -> str | None:
    """Return the bytes of a name as text, or None if no code page gives any."""
    try:
        return name.decode("utf-8")  # many tools write UTF-8 and do not say so
    except UnicodeDecodeError:
        pass
    texts = [text for page in _CODE_PAGES if (text := _in(name, page)) is not None]
    return min(texts, key=_strangeness, default=None)


def _in(name: bytes, page: str) -> str | None:
    try:
        return name.decode(page)
    except UnicodeDecodeError:
        return None


def _strangeness(text: str) -> float:
    """Return how unlike a name a text is, for each of its characters that is not ASCII."""
    foreign = [character for character in text if ord(character) > 127]
    total = float(sum(_strange_character(character) for character in foreign))
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        scripts = {_script(character) for character in word}
        total += 4 * (len(scripts - {"HIRAGANA", "KATAKANA", "CJK"}) + bool(scripts & {"CJK", "KATAKANA"}) - 1)
        if word not in (word.lower(), word.upper(), word.capitalize()):
            total += 2
        if scripts == {"LATIN"} and len(word) > 1 and not any(letter.isascii() for letter in word):
            total += 4 * len(word)
    return total / max(len(foreign), 1)


def _strange_character(character: str) -> float:
    kind, script = unicodedata.category(character), _script(character)
    if kind[0] != "L":
        return 6.0 if kind[0] in "CSZ" else 5.0
    if script == "CJK":
        return 0.5 if _is_common(character) else 4.0
    if script == "LATIN":
        return 0.0 if character in _COMMON_LATIN else 1.0
    if script == "HANGUL":
        return 0.2 if character in _COMMON_HANGUL else 0.8
    if script == "CYRILLIC":
        return 0.3 if "а" <= character.lower() <= "я" or character in "ёЁіІїЇєЄ" else 2.0
    return 0.3 if script in ("HIRAGANA", "KATAKANA") else 3.0


def _is_common(character: str) -> bool:
    """Return whether a Chinese character is among the most common 3,755 of GB 2312, or 2,965 of JIS, or of Big5."""
    for page, first, last in (("gb2312", 0xB0, 0xD7), ("euc_jp", 0xB0, 0xCF), ("big5", 0xA4, 0xC6)):
        try:
            encoded = character.encode(page)
        except UnicodeEncodeError:
            continue
        if len(encoded) == 2 and first <= encoded[0] <= last:
            return True
    return False


def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").split()[0]
