"""CSV of measurements: six digits, UTF-8, rows of several tables below each other, and no formulas."""

import pandas as pd

from engine.measuring.csv_file import write_csv


def test_tables_are_written_below_each_other(tmp_path):
    first = pd.DataFrame({"image": ["Öl.png"], "object": [1], "area_um2": [1 / 3], "touches_border": [True]})
    second = first.assign(image="@b", object=1_234_567, area_um2=float("nan"), touches_border=False)
    write_csv([first, second], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().decode() == (
        "image,object,area_um2,touches_border\nÖl.png,1,0.333333,True\n'@b,1234567,,False\n"
    )


def test_a_formula_is_made_plain_in_names_of_columns_and_in_categories_too(tmp_path):
    table = pd.DataFrame({"=1+1": pd.Categorical(["=cmd", "cell", "=cmd"]), "-x": [-1.5, 2.0, 3.0]})
    write_csv([table], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "'=1+1,'-x\n'=cmd,-1.5\ncell,2\n'=cmd,3\n"
