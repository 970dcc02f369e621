#!/bin/sh
# Runs etcd, an API server and a controller-manager with tidegate registered in front of them, and
# prints the KUBECONFIG and commands to try, until Ctrl-C. It is the bed of the tests, started by the
# test that nobody else calls, so that it needs nothing but what the tests need.
set -eu
cd "$(dirname "$0")/../.."
tests/bed/build.sh
exec "${CARGO:-cargo}" test --locked --quiet --test it -- \
    --ignored --exact cluster::by_hand::a_cluster_to_try_things_in --nocapture
