"""Digits a second through the shipped network and through that of each tutorial, in one run.

    python jobs/bench/networks.py [--model BUNDLE]

The bundle's quick network, and its careful one if there is one. Each network reads the same 16
chunks of pictures by turns, ten rounds; its fastest round is told, and its ratio to `conv3`.
Networks alone: no decoding, no `normalize`.
"""

import argparse
import os
import time

import numpy as np

CHUNKS, ROUNDS = 16, 10


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a bundle; without it the package's own")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from batchdigits import predict
    from batchdigits.training.recipes import RECIPES, network

    _, device = predict.start_keras("cpu")
    names = {"quick": predict.load_keras_model(predict.resolve_keras_path(given.model))}
    careful = predict.resolve_model_path(given.model) / predict.CAREFUL_FILE
    if careful.exists():
        names["careful"] = predict.load_keras_model(careful)
    names |= {name: network(recipe) for name, recipe in RECIPES.items()}
    random = np.random.default_rng(0)
    chunks = random.random((CHUNKS, predict.MODEL_BATCH_SIZE, 28, 28, 1), np.float32)
    fastest = dict.fromkeys(names, np.inf)
    for _ in range(ROUNDS + 1):  # in the first one Keras traces
        for name, model in names.items():
            shaped = chunks.reshape(CHUNKS, predict.MODEL_BATCH_SIZE, *model.input_shape[1:])
            start = time.perf_counter()
            for chunk in shaped:
                model.predict_on_batch(chunk)
            fastest[name] = min(fastest[name], time.perf_counter() - start)
    digits = CHUNKS * predict.MODEL_BATCH_SIZE
    print(f"on {device}\n{'network':16}{'parameters':>12}{'digits/s':>12}{'to conv3':>10}")
    for name, model in names.items():
        ratio = fastest["conv3"] / fastest[name]
        print(f"{name:16}{model.count_params():12}{digits / fastest[name]:12.0f}{ratio:10.2f}")


if __name__ == "__main__":
    main()
