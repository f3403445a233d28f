"""The command line: the same jobs and the same database as the browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from db import corrections, datasets, jobs, recipes, runs, submissions
from db.actors import COMMAND_LINE
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Dataset, Job, JobStatus, LabelSet, PredictionSet, Run
from db.names import by_id_or_name, counted_name, default_name, free_name, run_parts
from db.session import Database
from engine import VERSION
from engine.care.belonging import open_together
from engine.cli.following import follow
from engine.cli.label_report import label_result, label_sentences
from engine.cli.needs_option import Where, needs_from
from engine.cli.reading_options import Channels, Pages
from engine.cli.run_report import against, class_names, run_result, validation
from engine.core.filenames import safe_stems
from engine.core.parameters import ParameterError, from_assignments, parse
from engine.core.run_config import PRESETS, RunConfig, config_from
from engine.core.settings import Settings, settings
from engine.datasets.corrections import laid_over
from engine.datasets.left_out import cleared_masks
from engine.datasets.reading import Reading, with_reading
from engine.imaging import class_maps, codec
from engine.imaging.left_out import LeftOut
from engine.labelling import recipe_file
from engine.labelling.base import DEFAULT_METHOD, LabelParams, find_method, methods
from engine.network.pretrained import default_preset, installed
from engine.prediction.refine_masks import Refine
from engine.prediction.score import score as score_folders
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.opening import open_store
from engine.training.job import concerns, teachable
from engine.training.run_details import encoder_weights, label_share_note
from engine.work.context import JobFailed

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a folder of unlabelled images to a trained U-Net and its masks.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
TrainLabels = Annotated[str | None, typer.Option("--labels", help="Train on this mask set.")]
TrainTruth = Annotated[bool, typer.Option("--truth", help="Train on the truth masks.")]
Assignments = Annotated[
    list[str] | None, typer.Option("-p", "--param", metavar="KEY=VALUE", help="Set a parameter; may be repeated.")
]
Name = Annotated[str | None, typer.Option(help="Its name; derived from dataset and settings if left out.")]


class CommandFailed(Exception):
    """The command cannot do what was asked. The message is a sentence."""


class Installation:
    """The database, the files and the settings of this installation."""

    def __init__(self) -> None:
        self.settings: Settings = settings()
        self.files = open_store(self.settings)
        self.database = Database(self.settings.resolved_database_url, actor=lambda: COMMAND_LINE)
        open_together(Inventory(self.database), self.files, self.database.migrate, utc_now())

    def finish(self, job_id: str, quiet: bool) -> Job:
        """Wait for a job and return it once it has finished or was stopped.

        Raises:
            CommandFailed: the job failed; the message is the job's error.
        """
        job = follow(self.database, self.settings, job_id, quiet)
        if job.status == JobStatus.FAILED:
            raise CommandFailed(job.error or "The job failed.")
        return job


def print_result(result: Any, as_json: bool, sentence: str) -> None:
    typer.echo(json.dumps(result, ensure_ascii=False, default=str) if as_json else sentence)


def require_one_source(labels: str | None, truth: bool) -> None:
    if (labels is None) != truth:
        raise CommandFailed("Choose what to train on: either --labels LABEL_SET or --truth.")


def chosen_config(
    installation: Installation, preset: str | None, labels: str | None, values: dict[str, Any]
) -> tuple[str, RunConfig]:
    """Return the preset, or the default one for a mask set or truth, and its settings with `values` over them."""
    with installation.database.reading() as session:
        label_set = by_id_or_name(session, LabelSet, labels) if labels is not None else None
    preset = preset or default_preset(installation.files, recipes.label_free(label_set))
    return preset, config_from(preset, values, weights=installed(installation.files) is not None)


def existing(path: Path, what: str) -> Path:
    """Return a path that was given, absolute, or refuse it: there is no such `what`."""
    if not path.exists():
        raise CommandFailed(f"There is no {what} {str(path)!r}.")
    return path.resolve()


@app.command("methods")
def methods_(as_json: AsJson = False):
    """List the label methods and their parameters."""
    result: list[dict[str, Any]] = []
    lines = []
    for method in methods().values():
        fields = {
            name: {"default": field.default, "help": field.description}
            for name, field in method.params.model_fields.items()
        }
        result.append(
            {
                "name": method.name,
                "title": method.title,
                "summary": method.summary,
                "default": method.name == DEFAULT_METHOD,
                "params": fields,
            }
        )
        lines.append(f"{method.name}: {method.title}. {method.summary}")
        lines += [f"    -p {name}={field['default']}  {field['help']}" for name, field in fields.items()]
    print_result(result, as_json, "\n".join(lines))


@app.command()
def label(
    dataset: str,
    method: Annotated[
        str | None, typer.Option(help=f"A method that `methods` lists.  [default: {DEFAULT_METHOD}]")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recipe file (JSON), in place of --method; -p changes it.")
    ] = None,
    param: Assignments = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the masks (PNG 0/255, or class numbers) into this folder.")
    ] = None,
    name: Name = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    needs: Where = None,
    as_json: AsJson = False,
):
    """Compute a pseudo-label mask for every image of a dataset, and estimate the quality of each without truth."""
    method, params = _chosen_recipe(method, recipe, from_assignments(param or []))
    needed = needs_from(needs)
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        label_set, job = submissions.submit_label(
            session,
            row.id,
            _name(session, LabelSet, name, row.name, method),
            method,
            params.model_dump(mode="json"),
            seed,
            VERSION,
        )
        jobs.require(job, needed)
    job = installation.finish(job.id, as_json)
    with installation.database.reading() as session:
        label_set = session.get_one(LabelSet, label_set.id)
        result = label_result(session, label_set, job)
        labelled = recipes.labelled_images(session, label_set.id)
        named = [(name, id_) for name, id_ in datasets.named_images(session, row.id) if id_ in labelled]
        drawn = corrections.current(session, row.id)
    if out is not None:
        keyed = [(name, stored.label_key(label_set.id, image_id)) for name, image_id in named]
        likely = {
            stored.label_key(label_set.id, image_id): stored.label_classes_key(label_set.id, image_id)
            for image_id in (labelled if label_set.classes else ())
        }
        left_out = LeftOut(installation.files, stored.left_out_key(row.id, label_set.left_out_id))
        files = laid_over(installation.files, label_set.id, drawn)
        files = cleared_masks(files, stored.label_folder(label_set.id), left_out)
        write_masks(files, keyed, out, 0.5, False, likely)
    print_result(result, as_json, label_sentences(result))


def _chosen_recipe(method: str | None, recipe: Path | None, values: dict[str, Any]) -> tuple[str, LabelParams]:
    """Return (method, parameters): a recipe file's or a method's defaults, with `values` in place of some."""
    if recipe is None:
        method = method or DEFAULT_METHOD
        return method, parse(find_method(method).params, values)
    if method is not None:
        raise CommandFailed("A recipe file names its method. Give either --method or --recipe.")
    try:
        _, method, params = recipe_file.from_json(existing(recipe, "recipe file").read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise CommandFailed(f"{str(recipe)!r} is no recipe: it cannot be read as text.") from None
    except ParameterError as error:
        raise CommandFailed(f"{str(recipe)!r} cannot be used. {error}") from None
    return method, parse(find_method(method).params, params | values)


def _name(session: Session, model: Any, given: str | None, *parts: str) -> str:
    return free_name(session, model, given) if given else counted_name(session, model, default_name(*parts))


@app.command()
def train(
    dataset: str,
    labels: TrainLabels = None,
    truth: TrainTruth = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(PRESETS)}.  [default: from_labels for a mask set that a method computed, else "
            "encoder if there are weights for it, else fast]"
        ),
    ] = None,
    no_corrections: Annotated[
        bool, typer.Option("--no-corrections", help="Leave out what people corrected in the dataset.")
    ] = False,
    param: Assignments = None,
    name: Name = None,
    needs: Where = None,
    as_json: AsJson = False,
):
    """Train a U-Net on a mask set or on truth, and predict the dataset with it."""
    require_one_source(labels, truth)
    needed = needs_from(needs)
    given = from_assignments([*(param or []), *(["data.corrections=false"] if no_corrections else [])])
    installation = Installation()
    preset, config = chosen_config(installation, preset, labels, given)
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        label_set = by_id_or_name(session, LabelSet, labels) if labels is not None else None
        parts = run_parts(row.name, label_set.name if label_set else "truth")
        run, job = submissions.submit_train(
            session,
            row.id,
            label_set.id if label_set else None,
            _name(session, Run, name, *parts, preset.replace("_", " ")),
            preset,
            config.model_dump(mode="json"),
            VERSION,
        )
        jobs.require(job, needed)
    with installation.database.reading() as session, suppress(JobFailed):  # the job says why it has nothing to learn
        images, _ = teachable(session, run, datasets.images(session, row.id))
        for note in concerns(session, installation.files, run, images, config):
            typer.echo(f"Note: {note}", err=True)
    job = installation.finish(job.id, as_json)
    with installation.database.reading() as session:
        result = run_result(session, session.get_one(Run, run.id))
    sentence = f"{result['ended']} Best epoch {result['best_epoch']}: {validation(result)}"
    owed = label_share_note(result["label_share"])
    lines = [f"{result['name']!r}: {sentence} ({against(result)}), {result['minutes']} minutes.", owed]
    print_result(result, as_json, "\n".join(filter(None, lines)))


@app.command()
def predict(
    run: str,
    folder: Path,
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability from which a pixel is foreground.")] = 0.5,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write 8-bit probabilities.")] = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also write the uncertainty of each pixel.")
    ] = False,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored copies; default: as the run does.")
    ] = None,
    refine: Annotated[
        Refine | None, typer.Option(help="Align mask outlines with image edges; default: as the run does.")
    ] = None,
    channels: Channels = "",
    pages: Pages = "first",
    as_json: AsJson = False,
):
    """Predict masks for new images: a folder, a zip or one picture, with a run's best model."""
    path = existing(folder, "folder, zip or picture")
    reading = Reading.chosen(channels, pages)
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Run, run)
        source = with_reading({"kind": "folder" if path.is_dir() else "zip", "path": str(path)}, reading)
        name = free_name(session, Dataset, f"{path.stem} predicted by {row.name}")
        prediction_set, job = submissions.submit_predict_new(session, row.id, name, source, flips, refine)
    installation.finish(job.id, as_json)
    with installation.database.reading() as session:
        prediction_set = session.get_one(PredictionSet, prediction_set.id)
        done = runs.predicted_images(session, prediction_set.id)
        named = [(n, id_) for n, id_ in datasets.named_images(session, prediction_set.dataset_id) if id_ in done]
        written = {name for name, _ in named}  # a duplicate gets the mask of its original, under its own name
        report = datasets.report(session, prediction_set.dataset_id, taken=False)
        skipped = [{"name": e.name, "reason": e.reason} for e in report if e.name not in written]
    keyed = [(name, stored.prediction_key(prediction_set.id, image_id)) for name, image_id in named]
    likely = {
        stored.prediction_key(prediction_set.id, image_id): stored.prediction_classes_key(prediction_set.id, image_id)
        for image_id in (done if row.classes else ())
    }
    write_masks(installation.files, keyed, out, threshold, probabilities, likely)
    if uncertainty:
        maps = [(name, stored.uncertainty_key(prediction_set.id, image_id)) for name, image_id in named]
        write_files(maps, out / "uncertainty", installation.files.read)
    result = {
        "run": row.id,
        "prediction_set": prediction_set.id,
        "images": len(keyed),
        "flips": prediction_set.flips,
        "refine": prediction_set.refine,
        "weights": encoder_weights(row.details),
        "out": str(out),
        "skipped": skipped,
    }
    lines = [f"Wrote {len(keyed)} masks to {out}."]
    if row.classes:
        result["classes"] = [{"class": number, "name": name} for number, name in class_names(row.classes)]
        numbers = ", ".join(f"{number} = {name}" for number, name in class_names(row.classes))
        lines = [f"Wrote {len(keyed)} masks to {out}: 0 = background, {numbers}."]
    lines += [f"  skipped {entry['name']}: {entry['reason']}" for entry in skipped]
    print_result(result, as_json, "\n".join(lines))


def write_masks(
    files: Store,
    keyed: Sequence[tuple[str, str]],
    out: Path,
    threshold: float,
    probabilities: bool,
    likely: Mapping[str, str] | None = None,
) -> None:
    """Write a mask PNG (0/255) for each (name, key) of an 8-bit probability, and optionally the probability itself.

    `likely` has the key of the most likely classes for each such key, if there are several: masks then hold class
    numbers.
    """

    def mask_of(key: str) -> bytes:
        classes = codec.decode_png(files.read(likely[key])) if likely else None
        found = class_maps.to_classes(codec.decode_png(files.read(key)), classes, threshold)
        return codec.encode_png(found if likely else found * 255)

    write_files(keyed, out, mask_of)
    if probabilities:
        write_files(keyed, out / "probabilities", files.read)


def write_files(keyed: Sequence[tuple[str, str]], out: Path, content: Callable[[str], bytes]) -> None:
    """Write a PNG with `content` of the key for each (name, key) into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for stem, (_, key) in zip(safe_stems([name for name, _ in keyed]), keyed, strict=True):
        (out / f"{stem}.png").write_bytes(content(key))


@app.command()
def score(
    masks: Path,
    truth: Path,
    classes: Annotated[bool, typer.Option("--classes", help="Also score each class of the truth.")] = False,
    as_json: AsJson = False,
):
    """Score a folder of masks against a folder of truth masks, paired by stem."""
    result = score_folders(existing(masks, "folder"), existing(truth, "folder"), classes)
    sentence = (
        "{images} images against truth: Dice {dice:.4f}, IoU {iou:.4f}, F-beta {fbeta:.4f}, MAE {mae:.4f}. "
        "Masks were read as {masks_read_as}; truth as {truth_read_as}."
    )
    lines = [sentence.format_map(result)]
    lines += ["  {class} {name}: Dice {dice:.4f}, IoU {iou:.4f}".format_map(each) for each in result.get("classes", [])]
    print_result(result, as_json, "\n".join(lines))


@app.command("runs")
def runs_(as_json: AsJson = False):
    """List the runs, newest first."""
    installation = Installation()
    with installation.database.reading() as session:
        result = [run_result(session, run) for run in runs.listing(session)]
    lines = [
        f"{entry['run']}  {entry['status']:<8}  {entry['epochs']:>3} epochs  "
        f"{validation(entry)} ({against(entry)})  {entry['name']}"
        for entry in result
    ]
    print_result(result, as_json, "\n".join(lines) or "No runs yet.")
