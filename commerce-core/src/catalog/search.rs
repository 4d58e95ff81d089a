//! Search words, as all backends understand them.

mod words;

use std::collections::BTreeSet;

use serde::Serialize;

use super::Product;

/// The version of what is stored of products to find and sort them: [`Product::search_document`] and
/// [`Product::title_sort_key`]. A backend that finds an older one in its database makes it anew.
pub const INDEX_VERSION: i64 = 1;

/// Search words as both backends understand them (see [`SearchTerms::parse`]): lower-cased, in plain letters where there are
/// such, with and without the marks within them. `T-Shirt` and `tshirt` ask for the same, and so do `Größe`, `grosse` and
/// `groesse`; `c++` and `c#` are words; scripts without blanks, such as Chinese, are searched by their signs.
///
/// A product matches if **every** word is the beginning of a word of its title, SKUs, option values, attribute values or
/// description. Its score says how well; ties are broken newest (greatest id) first:
///
/// | score | |
/// |---|---|
/// | 7 | all words together are its title or one of its SKUs, whatever marks and blanks are in them |
/// | 6, 5, 4 | every word is a whole word: of its title; of title, SKUs, options and attributes; of any text |
/// | 3, 2, 1 | every word is the beginning of a word, likewise |
///
/// The score doesn't depend on other products, so pages stay stable while the catalogue grows, and all backends agree on it.
///
/// Where nothing matches, typos are forgiven: a word that begins no known word is read as the closest one, which may differ
/// by one letter added, left out, changed or swapped with its neighbour, from eight letters on by two. The first letter
/// counts, and words of fewer than four letters or with digits, such as SKUs, are taken as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchTerms {
    terms: Vec<SearchTerm>,
    whole: Vec<String>,
}

/// What one word asks for: some ways to meet it, in any of which all words must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchTerm(Vec<Vec<String>>);

impl SearchTerm {
    /// The ways to meet it; never empty, nor is any of them.
    #[must_use]
    pub fn ways(&self) -> &[Vec<String>] {
        &self.0
    }

    /// The word as it was typed, without its marks.
    fn typed(&self) -> String {
        self.0.first().map(|way| way.concat()).unwrap_or_default()
    }
}

/// Where a word is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SearchField {
    /// In the title.
    Title,
    /// In the title, SKUs, variant titles, option values and attribute values.
    Keywords,
    /// In these and the description.
    Anywhere,
}

impl SearchField {
    /// From the narrowest on.
    pub const ALL: [Self; 3] = [Self::Title, Self::Keywords, Self::Anywhere];
}

impl SearchTerms {
    /// Splits a customer's words; `None` if there are none. At most eight words count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let terms: Vec<SearchTerm> = words::asked(text).into_iter().take(8).map(SearchTerm).collect();
        (!terms.is_empty()).then(|| Self { terms, whole: words::whole(text) })
    }

    /// The most letters by which a word may be mistyped.
    pub const TYPOS: usize = 2;

    /// The score of a product whose title or SKU was asked for.
    pub const EXACT: i64 = 7;

    /// What must all be met.
    #[must_use]
    pub fn terms(&self) -> &[SearchTerm] {
        &self.terms
    }

    /// The text as a whole, as [`SearchDocument::whole`] has it.
    #[must_use]
    pub fn whole(&self) -> &[String] {
        &self.whole
    }

    /// All words that any way has, once each.
    #[must_use]
    pub fn words(&self) -> BTreeSet<&str> {
        self.terms.iter().flat_map(|term| term.0.iter().flatten()).map(String::as_str).collect()
    }

    /// What comes after all words that a word begins.
    #[must_use]
    pub fn end_of(beginning: &str) -> String {
        format!("{beginning}{}", char::MAX)
    }

    /// The score of a product where all words are found in this field, as whole words or as beginnings.
    #[must_use]
    pub const fn score(field: SearchField, whole_words: bool) -> i64 {
        let beginning = match field {
            SearchField::Title => 3,
            SearchField::Keywords => 2,
            SearchField::Anywhere => 1,
        };
        if whole_words { beginning + 3 } else { beginning }
    }

    /// How well a product matches, 0 if it doesn't: what a backend must find by its index.
    #[must_use]
    pub fn score_of(&self, document: &SearchDocument) -> i64 {
        let all = |field: SearchField, whole_words: bool| {
            let texts = [&document.title, &document.keywords, &document.body];
            let known: Vec<&str> = texts[..=field as usize].iter().flat_map(|text| text.split_whitespace()).collect();
            let has = |word: &String| {
                known.iter().any(|known| if whole_words { known == word } else { known.starts_with(word.as_str()) })
            };
            self.terms.iter().all(|term| term.0.iter().any(|way| way.iter().all(has)))
        };
        if !all(SearchField::Anywhere, false) {
            return 0;
        }
        if document.whole.split_whitespace().any(|whole| self.whole.iter().any(|asked| asked == whole)) {
            return Self::EXACT;
        }
        let scores =
            [true, false].into_iter().flat_map(|whole_words| SearchField::ALL.map(|field| (field, whole_words)));
        let best = scores.into_iter().find(|(field, whole_words)| all(*field, *whole_words));
        best.map_or(0, |(field, whole_words)| Self::score(field, whole_words))
    }

    /// The words as they were typed, to be looked up where nothing matches.
    pub(super) fn typed(&self) -> Vec<String> {
        self.terms.iter().map(SearchTerm::typed).collect()
    }

    /// The words that were meant, given those that each may mean. `None` if they are what was typed.
    pub(super) fn corrected(&self, similar: &[Vec<String>]) -> Option<Self> {
        let meant = |(term, similar): (&SearchTerm, &Vec<String>)| match closest(&term.typed(), similar) {
            Some(word) => SearchTerm(vec![vec![word.clone()]]),
            None => term.clone(),
        };
        let terms: Vec<SearchTerm> = self.terms.iter().zip(similar).map(meant).collect();
        let whole = terms.iter().map(SearchTerm::typed).collect::<String>();
        (terms != self.terms).then(|| Self { terms, whole: vec![whole] })
    }
}

/// What a product is found by: words separated by single blanks, in the form of [`SearchTerms`]. Written with the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchDocument {
    /// The title and each SKU as a whole: a word each, in each of its spellings.
    pub whole: String,
    /// From the title.
    pub title: String,
    /// From SKUs, variant titles, option values and attribute values.
    pub keywords: String,
    /// From the description.
    pub body: String,
}

impl SearchDocument {
    /// All words that begin with what may be asked, once each.
    #[must_use]
    pub fn words(&self) -> BTreeSet<&str> {
        [&self.title, &self.keywords, &self.body].into_iter().flat_map(|text| text.split_whitespace()).collect()
    }
}

impl Product {
    /// The words this product is found by.
    #[must_use]
    pub fn search_document(&self) -> SearchDocument {
        let names = std::iter::once(&self.title).chain(self.sold().map(|variant| &variant.sku));
        let keywords = self
            .sold()
            .flat_map(|variant| [&variant.sku, &variant.title].into_iter().chain(variant.options.values()))
            .chain(self.attributes.values());
        let once =
            |words: Vec<String>| words.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ");
        SearchDocument {
            whole: once(names.flat_map(|text| words::whole(text)).collect()),
            title: once(words::indexed(&self.title)),
            keywords: once(keywords.flat_map(|text| words::indexed(text)).collect()),
            body: once(words::indexed(&self.description)),
        }
    }
}

/// How many typos a word is forgiven.
fn typos(word: &str) -> usize {
    match word.len() {
        _ if !word.bytes().all(|letter| letter.is_ascii_lowercase()) => 0,
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
        assert_eq!(terms.typed(), ["teteatete", "rouge"]);
        assert_eq!(Search::parse(None), Search::Everything);
        assert_eq!(Search::parse(Some("   ")), Search::Everything);
        assert_eq!(Search::parse(Some("?!%_*")), Search::Nothing);
        assert_eq!(Search::parse(Some("mug")), Search::For(SearchTerms::parse("mug").unwrap()));
    }

    #[test]
    fn typos_are_forgiven_by_length() {
        let meant = |typed: &str, known: &[&str]| {
            let similar = vec![known.iter().map(ToString::to_string).collect()];
            SearchTerms::parse(typed).unwrap().corrected(&similar).map(|terms| terms.typed().join(" "))
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

    fn score(query: &str, title: &str, sku: &str, description: &str) -> i64 {
        let texts = |texts: &[&str]| texts.iter().flat_map(|text| words::indexed(text)).collect::<Vec<_>>().join(" ");
        let whole: Vec<String> = [title, sku].into_iter().flat_map(words::whole).collect();
        let document = SearchDocument {
            whole: whole.join(" "),
            title: texts(&[title]),
            keywords: texts(&[sku]),
            body: texts(&[description]),
        };
        SearchTerms::parse(query).unwrap().score_of(&document)
    }

    #[test]
    fn the_best_score_is_the_title_or_sku_then_whole_words_then_beginnings() {
        for (query, title, sku, description, expected) in [
            ("lamp", "Lamp", "L-1", "", 7),
            ("lamp", "Desk lamp", "L-1", "", 6),
            ("lamp", "Lampshade", "L-1", "", 3),
            ("lamp", "Shade", "L-1", "For every lamp.", 4),
            ("lamp", "Shade", "L-1", "For lamps.", 1),
            ("abc", "Thing", "ABC", "", 7),
            ("abc", "Thing", "ABC-1", "", 5),
            ("ab-c1", "Thing", "ABC-1", "", 7),
            ("abc1", "Thing", "ABC-1", "", 7),
            ("abc 1", "Thing", "ABC-1", "", 7),
            ("tshirt", "T-Shirt, red", "X", "", 6),
            ("t-shirt", "Tshirt red", "X", "", 6),
            ("T-Shirt", "T-SHIRT", "X", "", 7),
            ("wifi", "Wi-Fi router", "X", "", 6),
            ("obrien", "O'Brien", "X", "", 7),
            ("本", "Bench", "X", "", 0),
            ("本", "日本の本棚", "X", "", 6),
            ("日本", "日光と本", "X", "", 0),
            ("c++", "C in a week", "X", "", 0),
            ("c++", "C++ in a week", "X", "", 6),
            ("c", "C# in a week", "X", "", 3),
            ("grosse", "Größe", "X", "", 7),
            ("groesse", "Größe", "X", "", 7),
            ("größe", "Groesse", "X", "", 7),
            ("größe", "Grosse", "X", "", 7),
        ] {
            assert_eq!(score(query, title, sku, description), expected, "{query} in {title} ({sku}) {description}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_found_by_itself(text in any::<String>()) {
            if let Some(terms) = SearchTerms::parse(&text) {
                prop_assert!((1..=8).contains(&terms.terms().len()));
                for word in terms.words() {
                    prop_assert!(!word.is_empty() && !word.contains(char::is_whitespace));
                    prop_assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+#".contains(c) || !c.is_ascii()), "{word:?}");
                }
                prop_assert_eq!(score(&text, &text, "", ""), SearchTerms::EXACT, "{:?}", text);
            }
        }
    }
}
