#!/bin/sh
# Runs etcd, an API server and a controller-manager with tidegate registered in front of them, and
# prints the KUBECONFIG and commands to try, until Ctrl-C; with EMPTY=1 a cluster without tidegate, but
# with a node on which it can be installed. It is the bed of the tests, started by a test that nobody
# else calls, so that it needs nothing but what the tests need.
set -eu
cd "$(dirname "$0")/../.."
tests/bed/build.sh
test=a_cluster_to_try_things_in
if [ "${EMPTY:-}" ]; then
    test=an_empty_cluster_to_follow_the_guide_on
    tests/bed/image.sh
fi
exec "${CARGO:-cargo}" test --locked --quiet --test it -- \
    --ignored --exact "cluster::by_hand::$test" --nocapture
