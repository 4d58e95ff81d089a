//! Sentences that customers and staff read.

/// A text as a sentence: it begins with a capital letter and ends with a full stop, unless it ends with a mark already.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let mut sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    sentence.push_str(letters.as_str());
    if sentence.ends_with(|last: char| last.is_alphanumeric() || matches!(last, ')' | '"' | '\'')) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_and_ends_with_a_mark() {
        assert_eq!(sentence("the order was cancelled: sold out"), "The order was cancelled: sold out.");
        assert_eq!(sentence(" Why? "), "Why?");
        assert_eq!(sentence("übrig (2)"), "Übrig (2).");
        assert_eq!(sentence(""), "");
    }
}
