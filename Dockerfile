# The image: one static binary and nothing else. `docker build --build-arg VERSION=0.1.0 -t tidegate .`
# tests/bed/image.sh makes the same image without a container engine, and reads the labels here.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY rust-toolchain.toml Cargo.toml Cargo.lock README.md ./
COPY src src
COPY policies policies
COPY tests/controls tests/controls
# The explicit --target keeps +crt-static away from procedural macros, which are shared libraries.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && CARGO_PROFILE_RELEASE_STRIP=debuginfo RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --release --target "$target" --bin tidegate \
 && install -D -m 0555 "target/$target/release/tidegate" /rootfs/tidegate

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="tidegate" \
      org.opencontainers.image.description="An admission webhook for the customer's half of shared responsibility" \
      org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="${VERSION}"
COPY --from=build /rootfs/tidegate /tidegate
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/tidegate"]
