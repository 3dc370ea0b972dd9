"""The job: everything that follows from a run's options, resolved once and then only read."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from batchdigits import calibrate, normalize, outputs, pages, predict, register, sources, templates
from batchdigits.calibrate import Thresholds
from batchdigits.corrections import FormNames, name_forms
from batchdigits.errors import ModelError, TemplateError, UsageError
from batchdigits.layout import hands, turns
from batchdigits.layout.networks import hash_weights
from batchdigits.normalize import strips
from batchdigits.objects import is_url
from batchdigits.options import RunOptions
from batchdigits.outputs import TableLayout
from batchdigits.paths import OutputPaths, resolve_paths
from batchdigits.predict import Card
from batchdigits.records import CalibrationBin, Page
from batchdigits.register import FormTemplates
from batchdigits.templates import Template
from batchdigits.workers import ray_engine

READING_VERSION = 4
"""Increased when a newer version would read the same file, model and templates differently."""


class Inputs(NamedTuple):
    """What to read.

    Attributes:
        typed: folders and files named on the command line or by the caller.
        listed: paths from a list that was made earlier; a missing path becomes an error row.
    """

    typed: Sequence[str] = ()
    listed: Sequence[str] = ()


NO_INPUTS = Inputs()


@dataclass(frozen=True, slots=True)
class Job:
    """What a run reads, with which model, and where its rows go.

    Attributes:
        options: as given, checked.
        inputs: what to read.
        paths: where the run writes.
        card: the description of the model.
        fingerprint: a digest of the model's files, in hexadecimal.
        forms: the templates and their references.
        form_names: the names of the templates, by what is stored of their fields.
        layouts: of the table, as `open_tables` takes them. An .xlsx has a sheet for each, other
            formats hold the first.
        threshold: for all values, as the options choose it; None for the model's thresholds.
        thresholds: those of this run.
        model_thresholds: those of the model.
        reading_key: a digest of everything that a reading depends on, except the file.
    """

    options: RunOptions
    inputs: Inputs
    paths: OutputPaths
    card: Card
    fingerprint: str
    forms: FormTemplates
    form_names: FormNames
    layouts: Sequence[TableLayout]
    threshold: float | None
    thresholds: Thresholds
    model_thresholds: Thresholds
    reading_key: str = field(repr=False)

    @property
    def dialect(self) -> outputs.Dialect:
        """What spreadsheets need of the tables."""
        return outputs.Dialect(self.options.excel, self.options.decimal_comma)


def resolve_job(
    options: RunOptions, inputs: Inputs = NO_INPUTS, paths: OutputPaths | None = None
) -> Job:
    """Resolve a job, and refuse one that cannot succeed before anything is read.

    Args:
        options: checked.
        inputs: what to read; none if the caller passes files or arrays later.
        paths: where the run writes, if that is resolved already.

    Raises:
        UsageError: an INPUT does not exist, an option does not fit the others, calibration data
            cannot be read, or --engine ray finds no Ray.
        OutputError: a table cannot be written at its path.
        ModelError: the model cannot be used, as far as its files show without loading it.
        TemplateError: a template cannot be used.
    """
    paths = paths or resolve_paths(options)
    if paths.move_folders and any(is_url(one) for one in (*inputs.typed, *inputs.listed)):
        raise UsageError("--move-done and --move-failed move files, not objects: leave them out")
    if options.engine == "ray":
        ray_engine.check_ray(options.ray_address)
    sources.check_inputs(
        inputs.typed, outputs=paths.written, moved=list(paths.move_folders.values())
    )
    _check_table_paths(options, paths)
    if options.runtime == "onnx":
        predict.check_onnx_runtime(options.device)
    card = load_card(options.model)
    forms = load_forms(options.template, options.max_pixels)
    layouts = _choose_layouts(forms.templates, options, paths)
    fingerprint = predict.fingerprint_model(options.model)
    model_thresholds = Thresholds(card.threshold, (card.numbers or card).threshold)
    requested = _find_requested_threshold(card, options)
    return Job(
        options=options,
        inputs=inputs,
        paths=paths,
        card=card,
        fingerprint=fingerprint,
        forms=forms,
        form_names=name_forms((one.form.name, one.fields) for one in forms.templates),
        layouts=layouts,
        threshold=requested,
        thresholds=model_thresholds if requested is None else Thresholds(requested, requested),
        model_thresholds=model_thresholds,
        reading_key=_compute_reading_key(options, fingerprint, forms),
    )


def _check_table_paths(options: RunOptions, paths: OutputPaths) -> None:
    """Refuse tables that cannot be written, as far as that shows before there are rows."""
    if paths.move_folders and paths.state is None:
        raise UsageError(
            "--move-done and --move-failed want rows that are safe on disk: give --state with "
            "--out -, or another --out"
        )
    path_by_option = {
        "--out": paths.out,
        "--digits-out": paths.digits_out,
        "--new-rows": paths.new_rows,
    }
    excel, decimal_comma = options.excel, options.decimal_comma
    for option, path in path_by_option.items():
        if path is not None:
            outputs.check_table_path(path, excel=excel, decimal_comma=decimal_comma, option=option)


def load_card(model: str | None) -> Card:
    """Load a model's card, and refuse a model that expects another preprocessing.

    Raises:
        ModelError: the model expects another preprocessing, or does not exist.
    """
    card = predict.load_card(model)
    if card.preprocessing not in (None, normalize.VERSION):
        raise ModelError(
            f"model '{card.name}' expects preprocessing version {card.preprocessing}, this is "
            f"version {normalize.VERSION}: train it again, or install the batchdigits it came with"
        )
    if card.numbers is not None and card.numbers.preprocessing != strips.VERSION:
        raise ModelError(
            f"the number reader of model '{card.name}' expects preprocessing version "
            f"{card.numbers.preprocessing}, this is version {strips.VERSION}: train it again, or "
            "install the batchdigits it came with"
        )
    return card


def load_forms(paths: Sequence[str], max_pixels: int) -> FormTemplates:
    """Load templates, and the reference images of those that are anchored by one.

    Raises:
        TemplateError: a template or a reference cannot be read or used.
    """
    if not paths:
        return FormTemplates()
    form_templates = templates.load_templates(paths)
    anchored = [one for one in form_templates if one.form.anchor == "image"]
    references = {one.form.name: load_reference(one, max_pixels) for one in anchored}
    return FormTemplates(form_templates, references)


def load_reference(template: Template, max_pixels: int) -> register.Reference:
    """Load the picture of a blank form that a template names.

    Raises:
        TemplateError: the picture cannot be read.
    """
    place = Path(template.place).parent / (template.form.reference or "")
    page = next(iter(pages.load_pages(str(place), max_pixels=max_pixels)))
    if not isinstance(page, Page):
        raise TemplateError(
            f"template '{template.place}': its reference '{place}' cannot be read: {page.detail}"
        )
    return register.build_reference(page.grey)


def _choose_layouts(
    templates: Sequence[Template], options: RunOptions, paths: OutputPaths
) -> list[TableLayout]:
    """Choose the layouts of the table: a row per field, a row per page, or in a spreadsheet both.

    Without templates, the fields of a row per page are known only after reading: then it is empty.

    Raises:
        TemplateError: a field has the name of another column of a table with a row per page.
    """
    if not templates:
        return [] if options.wide else [outputs.LONG_LAYOUT]
    names = dict.fromkeys(field.name for one in templates for field in one.fields)
    layouts = [outputs.FIELDS_LAYOUT, outputs.make_page_layout(list(names))]
    if options.wide or (paths.out or "").lower().endswith(".xlsx"):
        column_lists = [layout.names for layout in layouts]
        if duplicates := [
            one for columns in column_lists for one in columns if columns.count(one) > 1
        ]:
            raise TemplateError(
                f"a table with a row a page has a column '{duplicates[0]}' of its own: give the "
                "field of that name another, or leave --wide and .xlsx out"
            )
    return layouts[::-1] if options.wide else layouts


def _find_requested_threshold(card: Card, options: RunOptions) -> float | None:
    """Choose the threshold that the options ask for; None if they leave it to the model.

    Raises:
        ModelError: the model has no calibration data, or they do not support so small an error.
        UsageError: the audited results cannot be read.
    """
    if options.target_error is None:
        return options.min_confidence
    return calibrate.find_threshold(_load_calibration(card, options), options.target_error)


def _load_calibration(card: Card, options: RunOptions) -> Sequence[CalibrationBin]:
    model = options.model or card.place
    advice = f"`batchdigits calibrate --model '{model}' --data LABELLED --out BUNDLE` makes "
    if not card.calibrated:
        raise ModelError(
            f"--target-error: model '{card.name}' is uncalibrated, so that its confidences "
            f"promise nothing: {advice}a bundle that serves"
        )
    if options.calibration is not None:
        return calibrate.load_audit_table(options.calibration)
    if not card.readings:
        raise ModelError(
            f"--target-error: the card of model '{card.name}' holds no calibration data "
            f"(calibration.readings): {advice}one that does, or give --calibration FILE"
        )
    return card.readings


def list_reading_versions() -> tuple[int | str, ...]:
    """Return what says how this version reads, whatever the model."""
    networks = hash_weights(turns.WEIGHTS), hash_weights(hands.WEIGHTS)
    return READING_VERSION, normalize.VERSION, strips.VERSION, *networks


def _compute_reading_key(options: RunOptions, fingerprint: str, forms: FormTemplates) -> str:
    """Return a digest of everything that a reading depends on, except the file, in hexadecimal."""
    parts = {
        "reading": list_reading_versions(),
        "model": fingerprint,
        "as": options.as_,
        "invert": options.invert,
        "templates": [
            one.model_dump_json(exclude={"place": True, "fields": {"__all__": {"label"}}})
            for one in forms.templates
        ],
        "references": {
            name: hashlib.blake2b(one.features.tobytes()).hexdigest()
            for name, one in forms.references.items()
        },
    }
    if options.runtime != "tensorflow":  # its values differ by less than 0.001, but differ
        parts["runtime"] = options.runtime
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=20).hexdigest()
