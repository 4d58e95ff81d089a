#!/usr/bin/env bash
# Builds and runs the README's ten lines as a stranger's project does: on the packaged crates, outside the workspace, without our
# lock file.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

crates=(commerce-core commerce-sqlite commerce-postgres commerce-http)
cargo package --quiet --locked --allow-dirty --no-verify --target-dir "$work/package" "${crates[@]/#/-p}"
for package in "$work"/package/package/*.crate; do
    tar -xzf "$package" -C "$work"
done

mkdir -p "$work/shop/src"
cd "$work/shop"
cat >Cargo.toml <<TOML
[package]
name = "shop"
version = "0.1.0"
edition = "2024"

[dependencies]
commerce-core = "0.1"
commerce-sqlite = "0.1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[patch.crates-io]
commerce-core = { path = "$work/commerce-core-0.1.0" }
commerce-sqlite = { path = "$work/commerce-sqlite-0.1.0" }

[workspace]
TOML
{
    echo '#[tokio::main]'
    echo 'async fn main() -> Result<(), Box<dyn std::error::Error>> {'
    awk '/^```rust$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$OLDPWD/README.md"
    echo 'Ok(())'
    echo '}'
} >src/main.rs
echo "a project on commerce-sqlite has $(cargo tree --prefix none -e normal,build | sort -u | wc -l) packages"
cargo run --quiet
