"""`batchdigits` with the fake classifier, as a process of its own that tests may kill."""

import sys

from conftest import FakeClassifier

from batchdigits import cli, predict

if __name__ == "__main__":
    predict.load_classifier = lambda card, **_: FakeClassifier()
    sys.argv[0] = "batchdigits"
    cli.main()
