//! Order numbers as people copy and dictate them.

/// The digits of Crockford's base 32, which has no I, L, O or U.
const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many of them a number has, and how many come before the hyphen.
const LENGTH: usize = 10;
const GROUP: usize = 5;

/// An order's number as it is kept, from what somebody typed: in any case, with or without hyphens and blanks, O for 0, I and L
/// for 1. What can't be one of this shop's numbers is only trimmed and put in upper case.
#[must_use]
pub fn normalise_number(text: &str) -> String {
    let is_filler =
        |c: char| c.is_whitespace() || matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ad}');
    let digit = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    // More than enough, whatever fills the gaps; a longer text is none.
    let digits: String = text.chars().filter(|c| !is_filler(*c)).take(LENGTH + 1).map(digit).collect();
    if digits.len() == LENGTH && digits.chars().all(|c| DIGITS.contains(c)) {
        format!("{}-{}", &digits[..GROUP], &digits[GROUP..])
    } else {
        text.trim().to_uppercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_crockford_means() {
        for text in [
            "01K3M-Q9XA0",
            "01k3m-q9xa0",
            "01K3MQ9XA0",
            " 0 1k3m q9xa0 ",
            "OlK3M-Q9XAo",
            "oiK3M-q9xaO",
            "OLK3M\u{2013}Q9XA0",
            "-01-K3-MQ-9X-A0-",
        ] {
            assert_eq!(normalise_number(text), "01K3M-Q9XA0", "{text}");
        }
    }

    #[test]
    fn what_is_no_number_finds_none() {
        for (text, kept) in [
            (" abc ", "ABC"),
            ("", ""),
            ("UUUUU-UUUUU", "UUUUU-UUUUU"),
            ("01K3M-Q9XA", "01K3M-Q9XA"),
            ("01K3M-Q9XA00", "01K3M-Q9XA00"),
            ("01K3M-Q9XAé", "01K3M-Q9XAÉ"),
        ] {
            assert_eq!(normalise_number(text), kept);
        }
    }
}
