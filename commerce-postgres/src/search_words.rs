//! What a product is found by: its search document, and the words that are known of it.

use std::collections::{BTreeMap, BTreeSet};

use commerce_core::catalog::{Product, SearchField};

use crate::codec::Document;

/// The mark before what finds a product as a whole: its title or a SKU.
pub(crate) const WHOLE: i64 = 4;

/// The mark before the words of a field and of those that it is part of.
pub(crate) const fn mark(field: SearchField) -> i64 {
    match field {
        SearchField::Title => 3,
        SearchField::Keywords => 2,
        SearchField::Anywhere => 1,
    }
}

/// The words a product is found by, as the text form of a `tsvector`: each with the marks of the fields it is in before it. The
/// index then knows by itself how well a word matches, which it wouldn't of weights: those are looked up row by row.
pub(crate) fn document(product: &Product) -> Document {
    let found_by = product.search_document();
    let mut best: BTreeMap<&str, i64> = BTreeMap::new();
    for (text, field) in
        [&found_by.body, &found_by.keywords, &found_by.title].into_iter().zip(SearchField::ALL.into_iter().rev())
    {
        best.extend(text.split_whitespace().map(|word| (word, mark(field))));
    }
    let words = best.iter().flat_map(|(word, best)| (1..=*best).map(move |mark| format!("'{mark}{word}'")));
    let whole = found_by.whole.split_whitespace().map(|whole| format!("'{WHOLE}{whole}'"));
    Document(words.chain(whole).collect::<Vec<_>>().join(" "))
}

/// All words a product is found by.
pub(crate) fn words(product: &Product) -> BTreeSet<String> {
    product.search_document().words().into_iter().map(str::to_owned).collect()
}
