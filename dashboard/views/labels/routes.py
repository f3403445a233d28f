"""The route of masks that follow strokes: while a test image is open, its page asks after each stroke that was stored.

The answer comes in lines of JSON, first of progress and then the masks. Nobody waits for an older answer: the page ends
that request, and what it had not begun is dropped.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboard.access import identity
from dashboard.facts.recipes import Recipe, recipe_from_text
from dashboard.server import resources
from dashboard.server.guard import get, guarded, row_of
from dashboard.views.labels.live_masks import Tell, live_masks
from db.actors import NotAllowed, Role
from db.models import Dataset
from engine.core.parameters import ParameterError
from engine.labelling.base import find_method

POLL_S = 0.01
LONGEST_RECIPE = 2000

log = logging.getLogger("maskloom.live_masks")


class _GivenUp(Exception):
    """The page does not wait for this answer any more."""


@guarded
def masks(request: Request) -> Response:
    """Answer with the masks of a dataset's test images, as strokes teach a recipe (see `live_masks`)."""
    try:
        identity.current(resources.database()).require(Role.EDITOR)
        recipe = _recipe(request)
    except NotAllowed as error:
        raise HTTPException(403, str(error)) from None
    except ParameterError as error:
        raise HTTPException(400, str(error)) from None
    with resources.database().reading() as session:
        dataset_id = row_of(session, Dataset, request.path_params["dataset"]).id
    lines = _lines(lambda tell, check: live_masks(dataset_id, recipe, tell, check))
    return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def _recipe(request: Request) -> Recipe:
    text = request.query_params.get("recipe", "")
    if len(text) > LONGEST_RECIPE:
        raise ParameterError(f"The 'recipe' parameter has at most {LONGEST_RECIPE} characters. Got {len(text)}.")
    recipe = recipe_from_text(text)
    if not find_method(recipe.method).learns_from_corrections:
        raise ParameterError(f"The method '{recipe.method}' does not learn from strokes.")
    return recipe


async def _lines(work: Callable[[Tell, Callable[[], None]], dict[str, Any]]) -> AsyncIterator[str]:
    """Yield what `work` tells and returns as lines of JSON; it runs in a thread, and is given up with the request."""
    told: deque[dict[str, Any]] = deque()
    given_up, ended = threading.Event(), threading.Event()

    def check() -> None:
        if given_up.is_set():
            raise _GivenUp

    def run() -> None:
        try:
            told.append(work(told.append, check))
        except _GivenUp:
            pass
        except ValueError as error:
            told.append({"error": str(error)})
        except Exception as error:
            log.exception("The masks could not be computed.")
            told.append({"error": f"The masks could not be computed: {str(error) or type(error).__name__}"})
        finally:
            ended.set()

    threading.Thread(target=run, name="live masks", daemon=True).start()
    try:
        while True:
            over = ended.is_set()
            while told:
                yield json.dumps(told.popleft()) + "\n"
            if over:
                return
            await anyio.sleep(POLL_S)
    finally:
        given_up.set()


ROUTES = [get("datasets/{dataset}/live-masks", masks)]
