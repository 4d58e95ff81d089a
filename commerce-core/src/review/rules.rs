//! What reviews must be like, and how their authors are shown. Pure.

use crate::{error::Invalid, review::Review, text::trim};

const MAX_TITLE: usize = 120;
const MAX_BODY: usize = 5000;

/// A review to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewReview {
    pub(super) rating: i64,
    pub(super) title: String,
    pub(super) body: String,
}

impl NewReview {
    /// A review of 1 to 5 stars, with a headline of at most 120 characters and a text of at most 5,000.
    pub fn new(rating: i64, title: impl Into<String>, body: impl Into<String>) -> Self {
        Self { rating, title: title.into(), body: body.into() }
    }
}

/// Changes to a review; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReviewPatch {
    pub(super) rating: Option<i64>,
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
}

impl ReviewPatch {
    /// Changes that change nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Other stars, 1 to 5; `None` keeps them.
    #[must_use]
    pub fn rating(mut self, rating: impl Into<Option<i64>>) -> Self {
        self.rating = rating.into();
        self
    }

    /// Another headline; `None` keeps it.
    #[must_use]
    pub fn title(mut self, title: impl Into<Option<String>>) -> Self {
        self.title = title.into();
        self
    }

    /// Another text; `None` keeps it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Option<String>>) -> Self {
        self.body = body.into();
        self
    }
}

/// A draft, trimmed, if it keeps all rules.
pub(super) fn review(draft: &NewReview) -> Result<NewReview, Invalid> {
    let draft =
        NewReview { rating: draft.rating, title: trim(&draft.title).to_owned(), body: trim(&draft.body).to_owned() };
    let mut invalid = Invalid::default();
    check_rating(&mut invalid, draft.rating);
    check_title(&mut invalid, &draft.title);
    check_body(&mut invalid, &draft.body);
    invalid.into_result()?;
    Ok(draft)
}

/// A review with a patch applied, if the patched fields keep all rules.
pub(super) fn patched(review: &Review, patch: &ReviewPatch) -> Result<Review, Invalid> {
    let mut after = review.clone();
    let mut invalid = Invalid::default();
    if let Some(rating) = patch.rating {
        after.rating = rating;
        check_rating(&mut invalid, rating);
    }
    if let Some(title) = &patch.title {
        trim(title).clone_into(&mut after.title);
        check_title(&mut invalid, &after.title);
    }
    if let Some(body) = &patch.body {
        trim(body).clone_into(&mut after.body);
        check_body(&mut invalid, &after.body);
    }
    invalid.into_result()?;
    Ok(after)
}

/// How an author is shown: first name and the last name's initial, "Ada L."; by one of them, if there is only one.
pub(super) fn author(first_name: &str, last_name: &str) -> String {
    let first = trim(first_name);
    let initial = trim(last_name).chars().next().map(|initial| format!("{}.", initial.to_uppercase()));
    match (first, initial) {
        ("", None) => "Anonymous".to_owned(),
        ("", Some(initial)) => initial,
        (first, None) => first.to_owned(),
        (first, Some(initial)) => format!("{first} {initial}"),
    }
}

fn check_rating(invalid: &mut Invalid, rating: i64) {
    invalid.check((1..=5).contains(&rating), "/rating", "out_of_range", "must be between 1 and 5 stars");
}

fn check_title(invalid: &mut Invalid, title: &str) {
    invalid.check_text(title, "/title", 1, MAX_TITLE);
}

fn check_body(invalid: &mut Invalid, body: &str) {
    invalid.check_lines(body, "/body", 1, MAX_BODY);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::Timestamp,
        id::{ProductId, ReviewId, UserId},
        review::{ReviewStatus, model::rating_change},
    };

    #[test]
    fn authors_are_shown_by_first_name_and_initial() {
        assert_eq!(author(" Ada ", "lovelace"), "Ada L.");
        assert_eq!(author("Ada", " "), "Ada");
        assert_eq!(author("", "Lovelace"), "L.");
        assert_eq!(author("", ""), "Anonymous");
        assert_eq!(author("Zoë", "ßen"), "Zoë SS.");
    }

    #[test]
    fn each_rule_names_the_field_that_breaks_it() {
        let broken = |rating, title: &str, body: &str| {
            let draft = NewReview { rating, title: title.to_owned(), body: body.to_owned() };
            let errors = review(&draft).err().unwrap_or_default().errors;
            errors.into_iter().map(|error| (error.pointer, error.code)).collect::<Vec<_>>()
        };
        let one = |pointer: &str, code| vec![(pointer.to_owned(), code)];
        assert_eq!(broken(5, "Nice", "Very\nnice"), []);
        assert_eq!(broken(0, "Nice", "x"), one("/rating", "out_of_range"));
        assert_eq!(broken(6, "Nice", "x"), one("/rating", "out_of_range"));
        assert_eq!(broken(1, &"x".repeat(121), "x"), one("/title", "too_long"));
        assert_eq!(broken(1, "a\nb", "x"), one("/title", "invalid_character"));
        assert_eq!(broken(1, "x", &"x".repeat(5001)), one("/body", "too_long"));
        assert_eq!(broken(1, "x", "\0x"), one("/body", "invalid_character"));
        assert_eq!(broken(1, "Nice", "4111\u{a0}1111  1111–1111"), one("/body", "card_number"));
        assert_eq!(broken(1, "4111111111111111", "x"), one("/title", "card_number"));
        assert_eq!(broken(1, "\u{200b}", "x"), one("/title", "required"));
        assert_eq!(broken(1, " ", ""), [one("/title", "required"), one("/body", "required")].concat());
    }

    fn written(rating: i64, status: ReviewStatus) -> Review {
        Review {
            id: ReviewId(uuid::Uuid::nil()),
            product_id: ProductId(uuid::Uuid::nil()),
            customer_id: UserId(uuid::Uuid::nil()),
            rating,
            title: "x".into(),
            body: "x".into(),
            author: "Ada L.".into(),
            verified_purchase: false,
            status,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 1,
        }
    }

    proptest! {
        #[test]
        fn the_rating_is_the_sum_of_what_is_shown(states in prop::collection::vec(prop::option::of((1..=5i64, any::<bool>())), 1..20)) {
            let (mut sum, mut count) = (0, 0);
            let mut before: Option<Review> = None;
            for state in states {
                let status = |shown| if shown { ReviewStatus::Published } else { ReviewStatus::Hidden };
                let after = state.map(|(rating, shown)| written(rating, status(shown)));
                let delta = rating_change(before.as_ref(), after.as_ref());
                (sum, count) = (sum + delta.sum, count + delta.count);
                let shown = after.as_ref().filter(|review| review.status == ReviewStatus::Published);
                prop_assert_eq!((sum, count), shown.map_or((0, 0), |review| (review.rating, 1)));
                before = after;
            }
        }
    }
}
