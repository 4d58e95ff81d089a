//! Slugs: names in URLs.

use uuid::Uuid;

/// How long a slug may be.
pub(super) const MAX_SLUG: usize = 200;
// Leaves room for a suffix.
const MAX_GENERATED: usize = 180;

/// Whether a text can be a slug: lower-case ASCII letters and digits in groups joined by single hyphens
/// (`^[a-z0-9]+(-[a-z0-9]+)*$`), at most 200 characters, and not to be mistaken for an id.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let group = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= MAX_SLUG && text.split('-').all(group) && Uuid::try_parse(text).is_err()
}

/// A slug made from a title; `kind` stands in for a title that has no letter or digit, and before one that looks like an id.
pub(super) fn slug_from(title: &str, kind: &str) -> String {
    let mut slug = slug::slugify(title);
    slug.truncate(MAX_GENERATED);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        kind.to_owned()
    } else if Uuid::try_parse(slug).is_ok() {
        format!("{kind}-{slug}")
    } else {
        slug.to_owned()
    }
}

/// Eight characters that follow from an id, for a slug whose numbered siblings are all taken.
pub(super) fn suffix(id: Uuid) -> String {
    use sha2::{Digest, Sha256};
    // An id's own first characters are its time, and the same for all ids of a minute.
    let digest = Sha256::digest(id);
    format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_words_joined_by_hyphens_are_slugs() {
        for slug in ["a", "mug", "blue-mug-2", "42"] {
            assert!(is_slug(slug), "{slug}");
        }
        for text in ["", "-", "Mug", "-mug", "mug-", "blue--mug", "blue mug", "blå", "mug/2", "mug\0"] {
            assert!(!is_slug(text), "{text}");
        }
        assert!(is_slug(&"a".repeat(200)) && !is_slug(&"a".repeat(201)));
        assert!(!is_slug("0190a2f4-7c1e-7000-8000-000000000001"), "would be looked up as an id");
    }

    #[test]
    fn titles_without_letters_still_get_a_slug() {
        assert_eq!(slug_from("Blå  Kopp!", "product"), "bla-kopp");
        assert_eq!(slug_from("!?", "product"), "product");
        let id = "0190a2f4-7c1e-7000-8000-000000000001";
        assert_eq!(slug_from(id, "product"), format!("product-{id}"));
    }

    proptest! {
        #[test]
        fn every_generated_slug_is_one(title in any::<String>()) {
            let slug = slug_from(&title, "product");
            prop_assert!(is_slug(&slug), "{slug:?}");
            prop_assert!(is_slug(&format!("{slug}-{}", suffix(Uuid::nil()))), "a suffix must fit");
        }
    }
}
