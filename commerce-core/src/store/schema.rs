//! Whether a database's schema is the one that a program works with. Judged alike by every backend that migrates by
//! numbered files.

use super::StoreError;

/// The migrations that a database lacks, written as their files begin: `0002_goods`. Empty if it is up to date.
///
/// # Errors
/// If the database has one that this program doesn't know: a newer program wrote it, and this one must not touch it.
pub fn missing_migrations<'a>(
    known: impl IntoIterator<Item = (i64, &'a str)>,
    applied: &[i64],
) -> Result<Vec<String>, StoreError> {
    let known: Vec<_> = known.into_iter().collect();
    if let Some(unknown) = applied.iter().find(|version| known.iter().all(|(known, _)| known != *version)) {
        let newest = known.iter().map(|(version, _)| *version).max().unwrap_or(0);
        return Err(StoreError::Schema(format!(
            "the database is newer than this program: it has migration {unknown}, and this program knows those up to {newest}"
        )));
    }
    let missing = known.into_iter().filter(|(version, _)| !applied.contains(version));
    Ok(missing.map(|(version, name)| format!("{version:04}_{}", name.replace(' ', "_"))).collect())
}

/// Refuses a database that lacks migrations, in a sentence that names them.
///
/// # Errors
/// [`StoreError::Schema`], unless `missing` is empty.
pub fn require_migrated(missing: &[String]) -> Result<(), StoreError> {
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(StoreError::Schema(format!("the database is older than this program: it lacks the migrations {missing}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(i64, &str); 3] = [(1, "schema"), (2, "goods"), (4, "gift cards")];

    #[test]
    fn what_is_missing_is_named_as_its_file() {
        assert_eq!(missing_migrations(KNOWN, &[]).unwrap(), ["0001_schema", "0002_goods", "0004_gift_cards"]);
        assert_eq!(missing_migrations(KNOWN, &[1, 2, 4]).unwrap(), [""; 0]);
        // One that arrived late, with a number below the newest, is missing too.
        let late = missing_migrations(KNOWN, &[1, 4]).unwrap();
        assert_eq!(late, ["0002_goods"]);
        let refused = require_migrated(&late).unwrap_err().to_string();
        assert_eq!(refused, "the database is older than this program: it lacks the migrations 0002_goods");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let refused = missing_migrations(KNOWN, &[1, 2, 4, 7]).unwrap_err().to_string();
        let sentence =
            "the database is newer than this program: it has migration 7, and this program knows those up to 4";
        assert_eq!(refused, sentence);
    }
}
