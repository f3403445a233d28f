"""Names that people, machines and attackers give to files."""

from __future__ import annotations

import unicodedata

HTML = "<img src=x onerror=window.ran=1>.png"
NAMES = {
    "HTML": HTML,
    "script": "<script>window.ran=1<／script>.png",
    "HTML entity": "&lt;b&gt;bold&lt;∕b&gt;.png",
    "attribute": '" onload="window.ran=1" x=\'.png',
    "Markdown": "![x](javascript:window.ran=1) **bold** $x^2$ :smile: [a](b).png".replace("/", "∕"),
    "web address": "www.example.com.png",
    "heading": "# heading.png",
    "newline": "two\nlines.png",
    "carriage return": "two\rlines.png",
    "tab": "\ttab.png",
    "escape sequence": "\x1b[31mred\x1b[0m.png",
    "bell and delete": "\x07\x7f.png",
    "C1 control": "next\x85line\x9b31m.png",
    "line separator": "two\u2028lines\u2029more.png",
    "right to left override": "photo\u202egnp.exe.png",
    "isolates": "a\u2066b\u2069c.png",
    "right to left mark": "\u200fשלום\u200f.png",
    "zero width": "ze\u200bro\ufeff.png",
    "255 bytes": "x" * 251 + ".png",
    "255 bytes of three each": "写" * 83 + "xx.png",
    "CON": "CON.png",
    "NUL": "nul",
    "COM1 of two dots": "com1.tar.png",
    "AUX with a blank": "aux .png",
    "trailing dot": "dot.",
    "trailing blank": "blank ",
    "leading blank": " blank.png",
    "leading dash": "-rf.png",
    "formula =": "=HYPERLINK(1).png",
    "formula +": "+1+1.png",
    "formula -": "-1+1.png",
    "formula @": "@SUM(1).png",
    "wide formula": "＝1+1.png",
    "formula after blanks": '  "=1+1.png',
    "percent": "100%25%00.png",
    "quotes": 'it\'s "quoted" `so`.png',
    "semicolon": "a;rm -rf ~;.png",
    "shell": "$(touch ran).png",
    "composed": unicodedata.normalize("NFC", "Käse.png"),
    "decomposed": unicodedata.normalize("NFD", "Käse.png"),
    "capitals": "KÄSE.png",
    "emoji": "👩‍👩‍👧 family.png",
    "stars of a glob": "*?[a].png",
    "null word": "null",
}
"""What is odd: a name that a Linux folder can hold."""
