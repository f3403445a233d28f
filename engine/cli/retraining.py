"""`python -m engine retrain`: train a run again on everything that people corrected since, and compare both."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from db import retraining, submissions
from db.audit_set import audit_set
from db.models import LabelSet, Run
from db.names import by_id_or_name
from engine import VERSION
from engine.cli.commands import AsJson, Installation, Name, app, print_result
from engine.cli.run_report import run_result
from engine.labelling.base import learns_from_corrections
from engine.prediction import old_and_new


@app.command()
def retrain(
    run: str,
    warm: Annotated[
        bool, typer.Option("--warm", help="Start from the last weights of the run, not as the run itself started.")
    ] = False,
    name: Name = None,
    as_json: AsJson = False,
):
    """Train a new run with the settings of another on all corrections so far, and compare the two.

    Labels that learn from corrections are computed anew first.
    """
    installation = Installation()
    with installation.database.writing() as session:
        base = by_id_or_name(session, Run, run)
        count = retraining.news(session, base)
        anew = base.label_set_id and learns_from_corrections(session.get_one(LabelSet, base.label_set_id).method)
        new, job = submissions.submit_retrain(session, base.id, warm, name or "", VERSION, bool(anew))
    installation.finish(job.id, as_json)
    with installation.database.reading() as session:
        new = session.get_one(Run, new.id)
        result = run_result(session, new) | {"retrained": new.details["retrained"], "new_corrections": count}
        pair = retraining.pair(session, new)
        held_out = retraining.held_out(session, pair) if pair else []
        audit = audit_set(session, new.dataset_id)
    found: list[old_and_new.Measure] = []
    if pair is not None:
        found = old_and_new.measures(installation.files, pair.old_set_id, pair.new_set_id, held_out, audit)
    result["measures"] = [asdict(each) for each in found]
    decisive = old_and_new.decisive(found)
    better = base if decisive and not decisive.prefers_new else new
    result["better"] = better.id
    images = "1 image was" if count == 1 else f"{count} images were"
    lines = [f"{new.name!r}: {result['ended']} {images} corrected since {base.name!r} began."]
    lines += [
        f"  {old_and_new.IN_WORDS[each.reference]}: {each.old:.3f} before, {each.new:.3f} now, on {each.images} images "
        "that neither network was trained on."
        for each in found
    ]
    lines += _against_corrections(result["retrained"])
    why = (
        f"by {old_and_new.IN_WORDS[decisive.reference]}" if decisive else "as neither an audit nor truth says otherwise"
    )
    lines.append(f"  {better.name!r} is kept for predictions, {why}.")
    print_result(result, as_json, "\n".join(lines))


def _against_corrections(retrained: dict[str, Any]) -> list[str]:
    if "changed" not in retrained:
        return []
    lines = [f"  {retrained['changed']} of {retrained['images']} masks changed."]
    if retrained["corrected"]:
        lines.insert(
            0,
            f"  Dice vs corrections: {retrained['old_dice']:.3f} before, {retrained['new_dice']:.3f} now, on "
            f"{retrained['corrected']} corrected images, which the new network was trained on.",
        )
    return lines
