"""A form drawn from a declared parameter set: one widget for each field, checked as a whole.

```python
form = params_form(KMeansParams, key="labels-kmeans", start=stored_params)
if form.params is None:
    st.stop()                    # the sentence that says what is wrong is already on the page
```
`reset_form("labels-kmeans")` puts the start values back. Widget keys are `<key>.<field>`, nested `<key>.<group>.<field>`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from engine.parameters import Params

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Form(Generic[P]):
    """What stands in the form: `values` as typed in, `params` checked (None when `error` says what is wrong)."""

    values: dict[str, Any]
    params: P | None
    error: str | None


def params_form(
    model: type[P],
    *,
    key: str,
    start: P | None = None,
    groups: Literal["expanders", "tabs", "plain"] = "expanders",
    columns: int = 1,
    leave_out: Collection[str] = (),
    open_groups: Collection[str] = (),
) -> Form[P]:
    """Draw a widget for each field and return what stands in them.

    Args:
        start: the values to begin with; the model's defaults when None.
        groups: how nested parameter sets are drawn.
        columns: how many widgets stand side by side.
        leave_out: dotted names of fields that keep their start value and are not drawn.
        open_groups: names of groups that start expanded.
    """
    raise NotImplementedError


def reset_form(key: str) -> None:
    """Forget what was typed into the form `key`, so that the next rerun shows its start values."""
    raise NotImplementedError
