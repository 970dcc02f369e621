#!/bin/sh
# Builds the image of the Dockerfile without a container engine: target/image/oci is an OCI image
# layout that `crane push` takes, target/image/rootfs the same unpacked. The binary is static and built
# in a folder of its own, by the dev profile unless PROFILE=release. What is fresh is left alone; the
# same binary always gives the same digest.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
image=$root/target/image
profile=${PROFILE:-dev}

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
sha256() { sha256sum "$1" | cut -d' ' -f1; }

case $(uname -m) in
    x86_64) machine=x86_64 architecture=amd64 ;;
    aarch64 | arm64) machine=aarch64 architecture=arm64 ;;
    *) die "no image is made on a $(uname -m)" ;;
esac
target=$machine-unknown-linux-gnu
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)

mkdir -p "$image"
# One build at a time: the second waits here and finds everything fresh.
exec 9>"$image/lock"
flock 9

say "building the static binary ($profile; about 4 minutes the first time)"
# The explicit --target keeps +crt-static away from procedural macros, which are shared libraries.
(
    cd "$root"
    export CARGO_TARGET_DIR="$image/build"
    export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$root=/src"
    export CARGO_PROFILE_DEV_STRIP=debuginfo CARGO_PROFILE_RELEASE_STRIP=debuginfo
    "${CARGO:-cargo}" build --locked --profile "$profile" --target "$target" --bin tidegate 9>&-
) || die "the build failed (see above)"
folder=$profile
[ "$profile" != dev ] || folder=debug
binary=$image/build/$target/$folder/tidegate

want=$(cat "$binary" "$0" | sha256sum)
if [ "$(cat "$image/stamp" 2>/dev/null)" = "$want" ]; then
    say "target/image/oci is fresh"
    exit 0
fi
rm -rf "$image/stamp" "$image/oci"
mkdir -p "$image/rootfs" "$image/oci/blobs/sha256"
# Replaced in one step: what runs from the folder keeps the file it started from.
install -m 0555 "$binary" "$image/rootfs/.tidegate"
mv "$image/rootfs/.tidegate" "$image/rootfs/tidegate"

# blob FILE: moves it to where its digest says, and prints `"digest": …, "size": …`.
blob() {
    digest=$(sha256 "$1")
    size=$(wc -c <"$1" | tr -d ' ')
    mv "$1" "$image/oci/blobs/sha256/$digest"
    printf '"digest": "sha256:%s", "size": %s' "$digest" "$size"
}

work=$image/work
tar --sort=name --mtime=@0 --mode=0555 --owner=0 --group=0 --numeric-owner --format=ustar -C "$image/rootfs" -cf "$work.tar" tidegate
diff_id=$(sha256 "$work.tar")
gzip -n -c "$work.tar" >"$work.tar.gz"
rm "$work.tar"
layer=$(blob "$work.tar.gz")

# The labels are those of the Dockerfile, read from there.
labels=$(sed -n 's/^ *\(LABEL \)\{0,1\}\(org\.opencontainers\.image\.[a-z]*\)="\([^"]*\)".*$/"\2": "\3", /p' "$root/Dockerfile" | grep -v VERSION | tr -d '\n')
cat >"$work.json" <<EOF
{"created": "1970-01-01T00:00:00Z", "architecture": "$architecture", "os": "linux",
 "config": {"User": "65532:65532", "Entrypoint": ["/tidegate"], "WorkingDir": "/",
  "Labels": {$labels"org.opencontainers.image.version": "$version"}},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$diff_id"]},
 "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tests/bed/image.sh"}]}
EOF
config=$(blob "$work.json")

type=application/vnd.oci.image
cat >"$work.json" <<EOF
{"schemaVersion": 2, "mediaType": "$type.manifest.v1+json",
 "config": {"mediaType": "$type.config.v1+json", $config},
 "layers": [{"mediaType": "$type.layer.v1.tar+gzip", $layer}]}
EOF
manifest=$(blob "$work.json")

cat >"$image/oci/index.json" <<EOF
{"schemaVersion": 2, "mediaType": "$type.index.v1+json",
 "manifests": [{"mediaType": "$type.manifest.v1+json", $manifest,
  "annotations": {"org.opencontainers.image.ref.name": "$version"},
  "platform": {"architecture": "$architecture", "os": "linux"}}]}
EOF
printf '{"imageLayoutVersion": "1.0.0"}' >"$image/oci/oci-layout"
printf '%s\n' "$want" >"$image/stamp"
say "made target/image/oci and target/image/rootfs"
