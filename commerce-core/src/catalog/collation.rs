//! The order of titles: the Unicode Collation Algorithm with CLDR's root collation, as keys that are compared byte by byte.

use std::sync::OnceLock;

use icu_collator::{CollatorBorrowed, CollatorPreferences, options::CollatorOptions};

/// So many bytes of a key count: titles that are alike up to there are sorted by their ids.
const LONGEST_KEY: usize = 256;

/// What stands for a text in an order by title, in hexadecimal digits, so that every database compares it alike.
pub(super) fn sort_key(text: &str) -> String {
    static COLLATOR: OnceLock<Option<CollatorBorrowed<'static>>> = OnceLock::new();
    // The data of the root collation is part of the program.
    let collator = COLLATOR
        .get_or_init(|| CollatorBorrowed::try_new(CollatorPreferences::default(), CollatorOptions::default()).ok());
    let mut key = Vec::new();
    match collator {
        Some(collator) => {
            let Ok(()) = collator.write_sort_key_to(text, &mut key);
        }
        None => key.extend(text.to_lowercase().bytes()),
    }
    key.truncate(LONGEST_KEY);
    hex::encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_sorted_as_people_do() {
        let sorted = ["_", "9 lives", "äpfel", "Äpfel", "apple", "Apple", "apples", "ćevapi", "Zebra", "Ångström"];
        let mut titles = sorted;
        titles.sort_by_key(|title| sort_key(title));
        assert_eq!(
            titles,
            ["_", "9 lives", "Ångström", "äpfel", "Äpfel", "apple", "Apple", "apples", "ćevapi", "Zebra"]
        );
    }

    /// Stored keys must be made anew when this fails: raise [`INDEX_VERSION`](crate::catalog::INDEX_VERSION).
    #[test]
    fn keys_are_those_that_are_stored() {
        assert_eq!(sort_key("Äpfel 2"), "2b4935334104160145960a01dc0b");
    }
}
