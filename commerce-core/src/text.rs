//! One set of rules for every text that comes in: which characters it may hold, what counts as empty, what counts as the same,
//! and what must never be kept. Pure.
//!
//! | question | function |
//! |---|---|
//! | Does it hold control characters? | [`forbidden`] |
//! | Does it show anything? | [`shows_nothing`] |
//! | Do two texts look the same? | [`look`] |
//! | Does it hold a payment card's number? | [`holds_card_number`] |

mod card;
mod characters;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

pub use self::card::holds_card_number;
use self::characters::is_filler;
pub(crate) use self::{
    card::digits,
    characters::{is_blank, is_invisible, nfc, nfkc},
};
use crate::error::Invalid;

/// Whether a text is one line or may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Names, titles, codes: no line break and no tab.
    One,
    /// Descriptions, reviews, reasons, notes: line breaks (U+000A, U+000D, U+2028, U+2029) and tabs are part of the text.
    Many,
}

/// The first character that a text must not hold: a control character (C0 with NUL, DEL, C1), or a line break or tab in a text of
/// one line. Databases refuse some of them, terminals and mail headers obey others.
#[must_use]
pub fn forbidden(text: &str, lines: Lines) -> Option<char> {
    text.chars().find(|c| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => lines == Lines::One,
        c => c.is_control(),
    })
}

/// What is said of a forbidden character. It is named by its number, as it doesn't show.
#[must_use]
pub fn forbidden_detail(c: char) -> String {
    let kind = if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') { "line breaks" } else { "control characters" };
    format!("must not hold {kind} (U+{:04X})", u32::from(c))
}

/// Whether a text is empty or has only characters that show nothing: white space of all kinds, zero-width characters, fillers.
#[must_use]
pub fn shows_nothing(text: &str) -> bool {
    text.chars().all(|c| is_blank(c) || is_invisible(c))
}

/// A text without white space and fillers at its ends. Joiners and variation selectors stay: they shape their neighbours.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c| is_blank(c) || is_filler(c))
}

/// How a text looks, for comparing: in NFKC, case folded, without invisible characters, with single blanks. Two texts of the same
/// look are the same code or name. Applying it again changes nothing.
#[must_use]
pub fn look(text: &str) -> String {
    let mut look = look_once(text);
    // Removing a character can bring two others together that compose.
    loop {
        let next = look_once(&look);
        if next == look {
            return look;
        }
        look = next;
    }
}

fn look_once(text: &str) -> String {
    let (nfkc, fold) = (ComposingNormalizerBorrowed::new_nfkc(), CaseMapper::new());
    let composed = nfkc.normalize(text);
    let folded = fold.fold_string(&composed);
    let mut look = String::with_capacity(folded.len());
    for c in nfkc.normalize(&folded).chars() {
        if is_blank(c) {
            if !look.ends_with(' ') {
                look.push(' ');
            }
        } else if !is_invisible(c) {
            look.push(c);
        }
    }
    look.trim_matches(' ').to_owned()
}

/// A text without characters that show nothing and have no place in a code, with single blanks for white space.
pub(crate) fn code(text: &str) -> String {
    let visible: String =
        text.chars().filter(|c| !is_invisible(*c)).map(|c| if is_blank(c) { ' ' } else { c }).collect();
    visible.trim().to_owned()
}

/// What a field's text is, beyond its length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Lines,
    Code,
    Reference,
}

impl Invalid {
    /// Notes a line of text that holds control characters, is too short or too long (what shows nothing counts as empty), or
    /// holds a card number.
    pub fn check_text(&mut self, text: &str, pointer: &str, min: usize, max: usize) {
        self.check_kind(text, pointer, min, max, Kind::Line);
    }

    /// As [`Self::check_text`], for texts that may have line breaks and tabs.
    pub fn check_lines(&mut self, text: &str, pointer: &str, min: usize, max: usize) {
        self.check_kind(text, pointer, min, max, Kind::Lines);
    }

    /// As [`Self::check_text`], for fields of the catalogue, where a GTIN (the number below a bar code, with its check digit) is no
    /// card number even if it could be one.
    pub fn check_code(&mut self, text: &str, pointer: &str, min: usize, max: usize) {
        self.check_kind(text, pointer, min, max, Kind::Code);
    }

    /// As [`Self::check_text`], for numbers that others gave: carriers' tracking numbers have as many digits as cards, and one in
    /// ten passes the cards' test by chance.
    pub fn check_reference(&mut self, text: &str, pointer: &str, min: usize, max: usize) {
        self.check_kind(text, pointer, min, max, Kind::Reference);
    }

    /// Notes a text that holds a character it must not hold; whether it is free of them.
    pub fn check_characters(&mut self, text: &str, pointer: &str, lines: Lines) -> bool {
        let forbidden = forbidden(text, lines);
        if let Some(c) = forbidden {
            self.add(pointer, "invalid_character", forbidden_detail(c));
        }
        forbidden.is_none()
    }

    /// Notes a card number, which this shop must never keep.
    pub(crate) fn add_card_number(&mut self, pointer: &str) {
        self.add(pointer, "card_number", "looks like it holds a card number, which must never be sent here");
    }

    fn check_kind(&mut self, text: &str, pointer: &str, min: usize, max: usize, kind: Kind) {
        let lines = if kind == Kind::Lines { Lines::Many } else { Lines::One };
        if !self.check_characters(text, pointer, lines) {
            return;
        }
        let length = if shows_nothing(text) { 0 } else { trim(text).chars().count() };
        if length < min {
            self.add(pointer, "required", "must not be empty");
        } else if length > max {
            self.add(pointer, "too_long", format!("must not be longer than {max} characters"));
        } else if match kind {
            Kind::Line | Kind::Lines => holds_card_number(text),
            Kind::Code => card::holds_other_than_gtin(text),
            Kind::Reference => false,
        } {
            self.add_card_number(pointer);
        }
    }
}

/// Refuses control characters in what a list is filtered by. `pointer` names the filter.
pub(crate) fn check_filter(filters: &[(&str, Option<&str>)]) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    for (pointer, text) in filters {
        invalid.check_characters(text.unwrap_or_default(), pointer, Lines::One);
    }
    invalid.into_result()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(check: impl FnOnce(&mut Invalid)) -> Vec<&'static str> {
        let mut invalid = Invalid::default();
        check(&mut invalid);
        invalid.errors.into_iter().map(|error| error.code).collect()
    }

    #[test]
    fn control_characters_are_refused_and_line_breaks_where_text_has_no_lines() {
        for c in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{7f}', '\u{80}', '\u{85}', '\u{9f}'] {
            for lines in [Lines::One, Lines::Many] {
                assert_eq!(forbidden(&format!("a{c}b"), lines), Some(c), "{c:?}");
            }
        }
        for c in ['\n', '\r', '\t', '\u{2028}', '\u{2029}'] {
            assert_eq!(forbidden(&format!("a{c}b"), Lines::One), Some(c), "{c:?}");
            assert_eq!(forbidden(&format!("a{c}b"), Lines::Many), None, "{c:?}");
        }
        assert_eq!(forbidden("Zoë 👩‍👩‍👧 می‌خواهم", Lines::One), None, "joiners are part of the text");
        assert_eq!(forbidden_detail('\0'), "must not hold control characters (U+0000)");
    }

    #[test]
    fn what_shows_nothing_is_empty() {
        for text in [
            "",
            " ",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{feff}",
            "\u{2060}",
            "\u{ad}",
            "\u{115f}",
            "\u{1160}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{180e}",
            "\u{200d}",
            "\u{200e}",
            "\u{202e}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0020}",
            "\u{34f}",
            "\u{17b4}",
            "\u{61c}",
            "\u{2028}",
            " \u{200b}\u{a0}\u{200d}",
        ] {
            assert!(shows_nothing(text), "{text:?}");
            assert_eq!(codes(|invalid| invalid.check_lines(text, "/x", 1, 10)), ["required"], "{text:?}");
        }
        for text in ["a", "\u{200b}a", "本", "❤\u{fe0f}", "-", "\u{1f600}"] {
            assert!(!shows_nothing(text), "{text:?}");
        }
        assert_eq!(trim("\u{feff} \u{200b}Ada\u{a0}\u{3164}"), "Ada");
        assert_eq!(trim("❤\u{fe0f}"), "❤\u{fe0f}");
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, two) in [
            ("MUG-1", "mug-1"),
            ("MUG-1", "ＭＵＧ－１"),
            ("MUG-1", "M\u{200b}UG\u{ad}-1\u{feff}"),
            ("STRASSE", "straße"),
            ("Ärmel", "A\u{308}RMEL"),
            ("ﬁsh", "FISH"),
            ("ΣΑΣ", "σας"),
            ("A  1", "a\u{a0}1"),
            ("ﾊﾝｶﾞ", "ハンガ"),
        ] {
            assert_eq!(look(one), look(two), "{one:?} {two:?}");
        }
        for (one, two) in [("MUG-1", "MUG1"), ("A 1", "A1"), ("o", "ö"), ("MUG", "MUGS")] {
            assert_ne!(look(one), look(two), "{one:?} {two:?}");
        }
    }

    #[test]
    fn one_fault_of_a_field_is_named() {
        let line = |text: &str| codes(|invalid| invalid.check_text(text, "/x", 1, 20));
        assert_eq!(line("Ada"), [] as [&str; 0]);
        assert_eq!(line("a\0"), ["invalid_character"]);
        assert_eq!(line("a\nb"), ["invalid_character"]);
        assert_eq!(line(&"x".repeat(21)), ["too_long"]);
        assert_eq!(line("4111 1111 1111 1111"), ["card_number"]);
        assert_eq!(codes(|invalid| invalid.check_lines("a\nb\tc", "/x", 1, 20)), [] as [&str; 0]);
        assert_eq!(codes(|invalid| invalid.check_reference("4111111111111111", "/x", 1, 20)), [] as [&str; 0]);
        assert_eq!(codes(|invalid| invalid.check_code("4111111111111111", "/x", 1, 20)), ["card_number"]);
    }

    proptest! {
        #[test]
        fn a_look_is_settled_and_blind_to_case_and_to_what_shows_nothing(text in any::<String>(), at in any::<prop::sample::Index>()) {
            let once = look(&text);
            prop_assert_eq!(&look(&once), &once);
            prop_assert_eq!(once.is_empty(), shows_nothing(&nfkc(&text)), "{:?}", text);
            let ascii: String = text.chars().filter(char::is_ascii).collect();
            prop_assert_eq!(look(&ascii), look(&ascii.to_ascii_uppercase()));
            let mut chars: Vec<char> = ascii.chars().collect();
            chars.insert(at.index(chars.len() + 1), '\u{200b}');
            prop_assert_eq!(look(&chars.into_iter().collect::<String>()), look(&ascii));
        }
    }
}
