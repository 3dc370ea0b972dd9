"""The options of `train`."""

from typing import Annotated

from annotated_types import Ge, Le, Lt

from batchdigits.errors import UsageError
from batchdigits.options.declaration import Option, Options, declare_options
from batchdigits.options.types import (
    NO_PATH,
    NO_PATHS,
    Device,
    NonEmptyPath,
    OptionalPath,
    PathList,
)

BUNDLE_RECIPES = ("default", "numbers")
"""The recipes that learn from several sets, and make a bundle."""
RECIPE_NAMES = (*BUNDLE_RECIPES, "conv1", "mlp", "conv3", "conv3-logits", "conv2-adadelta")
"""All recipes. They are listed here because importing `training` would slow `--help` down."""


@declare_options
class TrainOptions(Options):
    """The options of `train`."""

    recipe: Annotated[
        str,
        Option(
            f"{', '.join(RECIPE_NAMES[:-1])} or {RECIPE_NAMES[-1]}.",
            metavar="NAME",
            suggest=RECIPE_NAMES,
            default="default, with --from-corrections",
        ),
    ] = ""
    out: Annotated[
        NonEmptyPath,
        Option(
            "Folder for model.keras, summary.txt, samples.png, history.csv and curves.png. It is "
            "made where it is missing, and refused where it holds a model already. Recipes default "
            "and numbers make a bundle, which replaces one that is there.",
            metavar="FOLDER",
            flags=("-o",),
        ),
    ]
    data: Annotated[
        PathList,
        Option(
            "Labelled digits: an .npz file, a folder of IDX files, or of LABEL/*.png; for recipes "
            "default and numbers several, each by its own --data. Recipe numbers also takes a "
            "folder of NUMBER/*.png.",
            metavar="PATH",
            default="MNIST, downloaded by Keras",
            environment=False,  # several, and a variable holds one
        ),
    ] = NO_PATHS
    labels: Annotated[
        str,
        Option(
            "What labels that are no digits mean: a digit, empty, none (not a digit) or skip, as "
            "in ten=0,other=skip.",
            metavar="MAP",
        ),
    ] = ""
    seed: Annotated[
        int | None,
        Ge(0),
        Lt(1 << 32),
        Option("Makes the training repeatable on this machine.", metavar="N"),
    ] = None
    epochs: Annotated[
        int | None,
        Ge(1),
        Le(100_000),
        Option("How often all digits are seen.", metavar="N", default="the recipe's own"),
    ] = None
    fine_tune: Annotated[
        OptionalPath,
        Option(
            "Start from this bundle or .keras file, made by the same recipe. With recipe numbers, "
            "the bundle that the number reader joins. The word default means the model in the "
            "package.",
            metavar="BUNDLE",
        ),
    ] = NO_PATH
    from_corrections: Annotated[
        OptionalPath,
        Option(
            "Learn from the digits and numbers that people verified, cut out of their scans: the "
            "file that correct keeps beside a table, RESULTS.corrections.csv.",
            metavar="PATH",
        ),
    ] = NO_PATH
    pictures: Annotated[
        PathList,
        Option(
            "With --from-corrections, a folder that files were moved to after they were read; may "
            "be given again.",
            metavar="FOLDER",
            environment=False,
        ),
    ] = NO_PATHS
    device: Annotated[
        Device,
        Option(
            "Where the model is trained; GPUs are counted from 0.",
            metavar="auto|cpu|gpu|gpu:N",
            suggest=("auto", "cpu", "gpu"),
        ),
    ] = "auto"
    quiet: Annotated[bool, Option("Print nothing while all goes well.", flags=("-q",))] = False

    def __post_init__(self) -> None:
        """Refuse options that do not go together.

        Raises:
            UsageError: the recipe is missing, several sets are given for a recipe that learns from
                one, or sets or another recipe beside corrections.
        """
        if self.from_corrections is not None:
            self._check_corrections()
        elif not self.recipe:
            raise UsageError("--recipe is missing (--help tells what it takes)")
        elif self.pictures:
            raise UsageError("--pictures goes with --from-corrections alone: leave it out")
        elif self.recipe not in BUNDLE_RECIPES and len(self.data) > 1:
            raise UsageError(
                f"--data: recipe {self.recipe} learns from one set, got {len(self.data)}: give "
                "one, or use --recipe default"
            )

    def _check_corrections(self) -> None:
        if self.data or self.labels:
            raise UsageError(
                "--from-corrections learns from the corrections alone: leave out --data and "
                "--labels, or train with --data and --fine-tune"
            )
        if self.recipe not in ("", "default"):
            raise UsageError(
                f"--from-corrections: expected the recipe default, got {self.recipe}: leave "
                "--recipe out"
            )
