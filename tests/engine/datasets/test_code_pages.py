"""Names of files in old zips, in the code pages of the machines that packed them."""

from __future__ import annotations

import pytest

from engine.datasets.code_pages import decoded

NAMES = {
    "gbk": ["细胞", "测试图片", "肺部CT", "图像_01", "新建文件夹/照片1", "病人甲"],
    "cp1252": ["Präparat", "Müller", "Größe", "señal", "forêt été", "Ångström", "São Paulo", "naïve"],
    "cp850": ["Präparat2", "Größe", "forêt", "señal", "Übung", "Ærø", "São Paulo"],
    "cp437": ["Größe", "Präparat", "café"],
    "cp866": ["Снимок", "снимок_1", "Маска", "фото 12"],
    "cp1251": ["Снимок", "маска", "фото", "Изображение"],
    "shift_jis": ["細胞", "写真", "マスク", "ひらがな"],
    "big5": ["細胞", "圖片", "遮罩"],
    "euc_kr": ["세포", "이미지", "마스크"],
    "cp852": ["próbka", "Łódź"],
    "utf-8": ["Präparat", "细胞", "Снимок"],
}


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, names in NAMES.items() for name in names])
def test_the_code_page_is_guessed_from_one_name(page, name):
    assert decoded(f"images/{name}_1.png".encode(page)) == f"images/{name}_1.png"


def test_bytes_that_are_no_name_are_text_all_the_same():
    for data in (b"", b"\xff\xfe\x80.png", bytes(range(128, 256)), b"a.png"):
        assert isinstance(decoded(data), str)
