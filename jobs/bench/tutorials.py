"""Train the five tutorials' networks at full length, one after the other, and tell what they reach.

    python jobs/bench/tutorials.py mnist.npz --out runs/tutorials [--seed 1] [--card BUNDLE]

A training that is there is not done again. `--card` writes the figures into a bundle's card.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from figures import note

from batchdigits.training.recipes import RECIPES

KEEP = ("recipe", "parameters", "epochs", "test_loss", "test_accuracy")


def main() -> None:
    """Train what is not there yet, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", help=".npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trainings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--card", help="a bundle's folder")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    figures = []
    for recipe in RECIPES:
        told = given.out / f"{recipe}.txt"
        if not told.exists():
            told.write_text(trained(recipe, given.out / recipe, given.mnist, given.seed))
        pairs = (line.split(" ", 1) for line in told.read_text().splitlines())
        one = {name: value for name, value in pairs if name in KEEP}
        figures.append(one)
        print(*(one[name].rjust(16) for name in KEEP), flush=True)
    if given.card:
        note(given.card, "tutorials", figures)


def trained(recipe: str, out: Path, mnist: str, seed: int) -> str:
    """Train one recipe by the command that users have; return what it prints."""
    command = [sys.executable, "-m", "batchdigits", "train", "--recipe", recipe, "--data", mnist]
    done = subprocess.run(
        [*command, "--out", str(out), "--seed", str(seed)], stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


if __name__ == "__main__":
    main()
