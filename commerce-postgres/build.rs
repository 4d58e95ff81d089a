//! Writes the files of `migrations/` as a table of version, description and SQL, so that nothing else lists them.
//!
//! `sqlx::migrate!` does the same, but builds `sqlx` and the C libraries of its drivers a second time, for the compiler's own use.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=migrations");
    let mut files =
        fs::read_dir("migrations")?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    files.sort();
    let mut table = String::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let (version, description) = name.split_once('_').ok_or_else(|| format!("{name} is not NNNN_description"))?;
        // The checksum is the same whatever the line endings of the checkout.
        let sql = fs::read_to_string(&file)?.replace('\r', "");
        writeln!(table, "({}, {:?}, {sql:?}),", version.parse::<i64>()?, description.replace('_', " "))?;
    }
    let target = PathBuf::from(env::var("OUT_DIR")?).join("migrations.rs");
    Ok(fs::write(target, format!("&[{table}]"))?)
}
