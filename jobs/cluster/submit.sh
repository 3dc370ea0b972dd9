#!/bin/sh
# Reads a bucket on the cluster of ray-cluster.yaml: jobs/cluster/submit.sh s3://scans/inbox s3://scans/results.csv
#
# First, in another terminal: ray dashboard jobs/cluster/ray-cluster.yaml
# That lets the jobs' address of the head be reached at this machine alone. The job goes on when this
# line ends: --no-wait. `ray job list --address http://127.0.0.1:8265` shows how it went; the exit code
# of the run is in its message. Give the same line again after a failure: nothing is read twice.
set -eu
exec ray job submit --address http://127.0.0.1:8265 --no-wait -- \
    /home/ubuntu/env/bin/batchdigits run "$1" --out "$2" --engine ray --quiet --fail-over 0.01
