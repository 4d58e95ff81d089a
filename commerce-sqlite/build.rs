//! Compiles the crate anew when a migration is added: `sqlx::migrate!` can't watch a folder by itself.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
