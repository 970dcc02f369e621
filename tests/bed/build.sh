#!/bin/sh
# Builds the programs that the tests run against from pinned Go modules into target/bed/bin:
# etcd, kube-apiserver, kube-controller-manager, kubectl, and the oracle of tests/oracle.
# A program is built again only when its recipe (module files, sources, flags, Go version) changed.
# With KUBEBUILDER_ASSETS set, the four cluster programs are taken from that folder instead.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/target/bed/bin
stamps=$root/target/bed/stamps
lock=$root/target/bed/lock
kubernetes=v1.36.3

say() { printf 'bed: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

command -v go >/dev/null 2>&1 || die "Go is missing; install Go 1.26 or newer (https://go.dev/dl) and call this again"

export CGO_ENABLED=0
export GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
go_version=$(go env GOVERSION)

digest() { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; }

# recipe NAME ARGUMENTS FILE...: one line that changes whenever the result could.
recipe() {
    name=$1 arguments=$2
    shift 2
    { printf '%s\n' "$name" "$arguments" "$go_version" "$GOFLAGS"; cat "$@"; } | digest | cut -d' ' -f1
}

# build NAME "PROGRAM..." HINT FOLDER FLAGS PACKAGE...: builds the programs of one Go module.
# Where a package's last path element is not the program's name there must be one package only.
build() {
    name=$1 programs=$2 hint=$3 folder=$4 link=$5
    shift 5
    want=$(recipe "$name" "$link $*" $(find "$folder" -name go.mod -o -name go.sum -o -name '*.go' | LC_ALL=C sort))
    fresh=yes
    [ "$(cat "$stamps/$name" 2>/dev/null)" = "$want" ] || fresh=no
    for program in $programs; do [ -x "$bin/$program" ] || fresh=no; done
    if [ $fresh = yes ]; then return; fi

    say "building $programs ($hint)"
    start=$(date +%s)
    rm -rf "$bin/.new" && mkdir -p "$bin/.new"
    case $programs in
        *' '*) out=$bin/.new/ ;;
        *) out=$bin/.new/$programs ;;
    esac
    go build -C "$folder" -ldflags "$link" -o "$out" "$@" || die "building $name failed (see above)"
    for program in $programs; do mv "$bin/.new/$program" "$bin/$program"; done
    rmdir "$bin/.new"
    printf '%s\n' "$want" >"$stamps/$name"
    say "built $programs in $(($(date +%s) - start)) s"
}

mkdir -p "$bin" "$stamps"

# One build at a time; a lock whose owner is gone is taken over.
until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
        rm -rf "$lock"
    else
        [ "${waited:-}" ] || say "waiting for another build (process ${owner:-unknown})"
        waited=yes
        sleep 1
    fi
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM

strip="-s -w"
if [ "${KUBEBUILDER_ASSETS:-}" ]; then
    for program in etcd kube-apiserver kube-controller-manager kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$program" ] || die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS holds no $program"
    done
    say "using etcd, kube-apiserver, kube-controller-manager and kubectl of $KUBEBUILDER_ASSETS"
else
    version=k8s.io/component-base/version
    flags="$strip -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=36"
    flags="$flags -X $version.gitCommit=bed -X $version.buildDate=2026-01-01T00:00:00Z"
    build etcd etcd "about 40 s the first time" "$root/tests/bed/etcd" "$strip" go.etcd.io/etcd/server/v3
    build kubernetes "kube-apiserver kube-controller-manager kubectl" "about 6 minutes the first time" \
        "$root/tests/bed/kubernetes" "$flags" \
        k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kubectl
fi
if [ -f "$root/tests/oracle/go.mod" ]; then
    build oracle oracle "about 1 minute the first time" "$root/tests/oracle" "$strip" .
fi
