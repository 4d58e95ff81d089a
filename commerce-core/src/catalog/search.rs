//! Search words, as all backends understand them.

use serde::Serialize;

use super::Product;

/// Search words as both backends understand them: lower-cased, accents folded, split at everything that isn't a letter or
/// digit (see [`SearchTerms::parse`]).
///
/// A product matches if **every** word is the beginning of a word of its title, SKUs, option values, attribute values or
/// description. Its score is 3 if every word matches in the title, 2 if every word matches in title, SKUs, options or
/// attributes, 1 otherwise; ties are broken newest (greatest id) first. The score doesn't depend on other products, so pages
/// stay stable while the catalogue grows, and all backends agree on it.
///
/// Where nothing matches, typos are forgiven: a word that begins no known word is read as the closest one, which may differ
/// by one letter added, left out, changed or swapped with its neighbour, from eight letters on by two. The first letter
/// counts, and words of fewer than four letters or with digits, such as SKUs, are taken as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchTerms(Vec<String>);

impl SearchTerms {
    /// Splits a customer's words; `None` if there are none. At most eight words count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<String> = words(text).take(8).collect();
        (!words.is_empty()).then_some(Self(words))
    }

    /// The most letters by which a word may be mistyped.
    pub const TYPOS: usize = 2;

    /// The words: non-empty, letters and digits only.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The words that were meant, given those that each may mean. `None` if they are what was typed.
    pub(super) fn corrected(&self, similar: &[Vec<String>]) -> Option<Self> {
        let meant = |(word, similar): (&String, &Vec<String>)| closest(word, similar).unwrap_or(word).clone();
        let words: Vec<String> = self.0.iter().zip(similar).map(meant).collect();
        (words != self.0).then_some(Self(words))
    }
}

/// What a product is found by: words separated by single blanks, in the form of [`SearchTerms`]. Written with the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchDocument {
    /// From the title.
    pub title: String,
    /// From SKUs, variant titles, option values and attribute values.
    pub keywords: String,
    /// From the description.
    pub body: String,
}

impl Product {
    /// The words this product is found by.
    #[must_use]
    pub fn search_document(&self) -> SearchDocument {
        let keywords = self
            .sold()
            .flat_map(|variant| [&variant.sku, &variant.title].into_iter().chain(variant.options.values()))
            .chain(self.attributes.values());
        SearchDocument {
            title: words(&self.title).collect::<Vec<_>>().join(" "),
            keywords: keywords.flat_map(|text| words(text)).collect::<Vec<_>>().join(" "),
            body: words(&self.description).collect::<Vec<_>>().join(" "),
        }
    }
}

/// How many typos a word is forgiven.
fn typos(word: &str) -> usize {
    match word.len() {
        _ if word.bytes().any(|letter| letter.is_ascii_digit()) => 0,
        0..4 => 0,
        4..8 => 1,
        _ => SearchTerms::TYPOS,
    }
}

/// The candidate with the fewest typos; among equals one with the same letters, then one of the same length, then the first
/// of the alphabet.
fn closest<'a>(word: &str, similar: &'a [String]) -> Option<&'a String> {
    let letters = |word: &str| {
        let mut letters = word.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let rank = |candidate: &'a String| {
        let distance = strsim::osa_distance(word, candidate);
        (distance, letters(word) != letters(candidate), candidate.len().abs_diff(word.len()), candidate)
    };
    let close = similar.iter().map(rank).filter(|(distance, ..)| (1..=typos(word)).contains(distance));
    close.min().map(|(.., candidate)| candidate)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    // `slug` transliterates to ASCII ("Tête-à-tête" → "tete-a-tete"), so both engines index plain lower-case ASCII.
    slug::slugify(text).split('-').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// What a caller's search text asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// No text: everything.
    Everything,
    /// Text without a word in it: nothing. Showing everything instead would look like a match.
    Nothing,
    /// These words.
    For(SearchTerms),
}

impl Search {
    pub fn parse(q: Option<&str>) -> Self {
        match q.map(str::trim) {
            None | Some("") => Self::Everything,
            Some(text) => SearchTerms::parse(text).map_or(Self::Nothing, Self::For),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_folded_and_punctuation_is_nothing() {
        let terms = SearchTerms::parse("Tête-à-tête, ROUGE!").unwrap();
        assert_eq!(terms.words(), ["tete", "a", "tete", "rouge"]);
        assert_eq!(Search::parse(None), Search::Everything);
        assert_eq!(Search::parse(Some("   ")), Search::Everything);
        assert_eq!(Search::parse(Some("?!%_*")), Search::Nothing);
        assert_eq!(Search::parse(Some("mug")), Search::For(SearchTerms(vec!["mug".to_owned()])));
    }

    #[test]
    fn typos_are_forgiven_by_length() {
        let meant = |typed: &str, known: &[&str]| {
            let similar = vec![known.iter().map(ToString::to_string).collect()];
            SearchTerms::parse(typed).unwrap().corrected(&similar).map(|terms| terms.0.join(" "))
        };
        let cases = [
            ("enamle", &["enamel", "enable"][..], Some("enamel")),
            ("enaml", &["enamel"], Some("enamel")),
            ("mugg", &["mug", "mugs"], Some("mugs")),
            ("chiar", &["chair", "choir"], Some("chair")),
            ("stonwear", &["stoneware"], Some("stoneware")),
            ("stnwar", &["stoneware"], None),
            ("mag", &["mug"], None),
            ("sku42", &["sku43"], None),
            ("enamel", &[], None),
        ];
        for (typed, known, expected) in cases {
            assert_eq!(meant(typed, known).as_deref(), expected, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn search_words_are_few_plain_and_those_of_the_document(text in any::<String>()) {
            if let Some(terms) = SearchTerms::parse(&text) {
                prop_assert!((1..=8).contains(&terms.words().len()));
                let document: Vec<String> = words(&text).collect();
                for word in terms.words() {
                    prop_assert!(!word.is_empty());
                    prop_assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{word:?}");
                    prop_assert!(document.contains(word));
                }
            }
        }
    }
}
