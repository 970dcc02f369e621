#!/bin/sh
# Builds the image's file system for tests: target/image/rootfs with the static binary at /tidegate.
# The profile is cargo's dev one unless PROFILE says otherwise.
set -eu
cd "$(dirname "$0")/../.."
host=$(rustc -vV | sed -n 's/^host: //p')
profile=${PROFILE:-dev}
# An explicit --target keeps the flag away from procedural macros, which cannot be static.
RUSTFLAGS="-C target-feature=+crt-static" "${CARGO:-cargo}" build --locked --quiet --bin tidegate \
    --profile "$profile" --target "$host" --target-dir target/image
folder=$profile
[ "$profile" != dev ] || folder=debug
mkdir -p target/image/rootfs
# Replaced in one step: pods of a running test keep the file they started from.
install -m 0755 "target/image/$host/$folder/tidegate" target/image/rootfs/.tidegate
mv target/image/rootfs/.tidegate target/image/rootfs/tidegate
