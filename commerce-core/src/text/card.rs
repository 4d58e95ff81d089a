//! Payment cards' numbers, however they are written.

use icu_properties::{CodePointMapData, props::GeneralCategory};

use super::characters::{is_blank, is_invisible, nfkc};

/// How many characters may stand between two groups of digits: a dash with blanks around it.
const WIDEST_GAP: usize = 3;
/// How many digits a card's number has (ISO/IEC 7812).
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// Digits without anything between, and what stands before them.
#[derive(Debug)]
struct Group {
    digits: String,
    gap: Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// Something that no card number has within it, or the beginning.
    Apart,
    /// Up to three blanks and dashes.
    Blank,
    /// A single dot. Numbers are only read over dots if all their gaps are dots: otherwise prices in a row would be cards.
    Dot,
}

/// Whether a text holds a payment card's number, which this shop must never keep or log: 13 to 19 digits that begin with a card
/// issuer's digit (2 to 6) and pass the Luhn test (ISO/IEC 7812), in one piece or in groups with blanks or dashes of any kind
/// between, in the digits of any script.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    any_card(text, |_| true)
}

/// As [`holds_card_number`], but a GTIN in one piece is none.
pub(super) fn holds_other_than_gtin(text: &str) -> bool {
    any_card(text, |groups| !(groups.len() == 1 && is_gtin(&groups[0].digits)))
}

fn any_card(text: &str, counts: impl Fn(&[Group]) -> bool) -> bool {
    // Most texts have too few digits; no other pass is made over them.
    if text.chars().filter(|c| !c.is_ascii() || c.is_ascii_digit()).count() < *LENGTHS.start() {
        return false;
    }
    let groups = groups(text);
    (0..groups.len()).any(|first| {
        let mut number = String::new();
        let mut gaps = None;
        for (last, group) in groups.iter().enumerate().skip(first) {
            if last > first && (group.gap == Gap::Apart || *gaps.get_or_insert(group.gap) != group.gap) {
                break;
            }
            number.push_str(&group.digits);
            if number.len() > *LENGTHS.end() {
                break;
            }
            if is_card(&number) && counts(&groups[first..=last]) {
                return true;
            }
        }
        false
    })
}

/// Whether these digits are a card's number.
fn is_card(digits: &str) -> bool {
    LENGTHS.contains(&digits.len()) && matches!(digits.as_bytes()[0], b'2'..=b'6') && passes_luhn(digits)
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut between = String::new();
    let mut in_group = false;
    for c in nfkc(text).chars() {
        if let Some(digit) = digit(c) {
            if !in_group {
                groups.push(Group { digits: String::new(), gap: gap(&between) });
                in_group = true;
            }
            if let Some(group) = groups.last_mut() {
                group.digits.push(digit);
            }
        } else if !is_invisible(c) || is_blank(c) {
            if in_group {
                between.clear();
                in_group = false;
            }
            between.push(c);
        }
    }
    groups
}

fn gap(between: &str) -> Gap {
    let narrow = (1..=WIDEST_GAP).contains(&between.chars().count());
    if between == "." || between == "·" {
        Gap::Dot
    } else if narrow && between.chars().all(|c| is_dash(c) || (is_blank(c) && !matches!(c, '\n' | '\r'))) {
        Gap::Blank
    } else {
        Gap::Apart
    }
}

fn is_dash(c: char) -> bool {
    c == '_' || c == '\u{2212}' || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DashPunctuation
}

/// A text with the decimal digits of all scripts as ASCII ones.
pub(crate) fn digits(text: &str) -> String {
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

/// A decimal digit of any script, as an ASCII one.
fn digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |code| categories.get32(code) == GeneralCategory::DecimalNumber;
    let code = u32::from(c);
    if !is_digit(code) {
        return None;
    }
    // The ten digits of a script follow each other, from a multiple of 16 or from 6 beyond one.
    let place = code % 16;
    let value = if is_digit(code - place) { place } else { place.checked_sub(6)? };
    char::from_digit(value, 10)
}

fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0') * if at % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether these are a GTIN-13 or GTIN-14 with its check digit (GS1 General Specifications, 7.9).
fn is_gtin(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 1 { 3 } else { 1 })
        .sum();
    matches!(digits.len(), 13 | 14) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Digits with the check digit that makes them pass the Luhn test.
    fn card(first: char, middle: &str) -> String {
        (0..10).map(|check| format!("{first}{middle}{check}")).find(|digits| passes_luhn(digits)).unwrap()
    }

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111  1111  1111  1111",
            "4111 - 1111 - 1111 - 1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "4111\u{2009}1111\u{202f}1111\u{2007}1111",
            "4111–1111—1111‑1111",
            "4111−1111−1111−1111",
            "4111.1111.1111.1111",
            "4111_1111_1111_1111",
            "4111\u{200b}1111\u{200b}1111\u{200b}1111",
            "4111\u{ad}1111\u{2060}1111\u{feff}1111",
            "４１１１１１１１１１１１１１１１",
            "４１１１　１１１１　１１１１　１１１１",
            "٤١١١١١١١١١١١١١١١",
            "४१११११११११११११११",
            "𝟜𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙",
            "my card 4111 1111 1111 1111 2026",
            "12 4111111111111111",
            "378282246310005",
            "x4111111111111111y",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_none() {
        for text in [
            "",
            "4111111111111112",
            "4111",
            "4111, 1111, 1111, 1111",
            "4111\n1111\n1111\n1111",
            "Route 66",
            "0000 0000 0000 0000",
            "0049 30 901820 4111",
            "1234 5678 9012 3452",
            "9400 1000 0000 0000 0000 00",
            "41111111111111111111",
            "39.90 49.90 59.90 29.90",
            "192.168.100.100",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_gtin_is_no_card_in_the_catalogue() {
        // Passes both the Luhn test and its own.
        let both = (0..1000)
            .flat_map(|n| (0..10).map(move |check| format!("400638{n:06}{check}")))
            .find(|digits| passes_luhn(digits) && is_gtin(digits))
            .unwrap();
        assert!(holds_card_number(&both) && !holds_other_than_gtin(&both), "{both}");
        assert!(!holds_other_than_gtin(&format!("EAN {both}")));
        assert!(holds_other_than_gtin("4111111111111111"));
    }

    #[test]
    fn digits_of_all_scripts_have_their_value() {
        for zero in [
            0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xbe6, 0xe50, 0xf20, 0x1040, 0x17e0, 0x1810, 0x1946, 0x19d0, 0xa620,
            0xaa50, 0xff10, 0x104a0, 0x11066, 0x110f0, 0x11136, 0x112f0, 0x11450, 0x116c0, 0x1e140, 0x1e950, 0x1fbf0,
        ] {
            let digits: String = (0..10).filter_map(|n| char::from_u32(zero + n)).filter_map(digit).collect();
            assert_eq!(digits, "0123456789", "{zero:x}");
        }
        assert_eq!((digit('x'), digit('²'), digit('½')), (None, None, None));
    }

    proptest! {
        #[test]
        fn every_card_is_found_in_every_dress(
            first in prop::sample::select(vec!['2', '3', '4', '5', '6']),
            middle in "[0-9]{11,17}",
            cuts in prop::collection::vec(0..19usize, 0..6),
            gap in prop::sample::select(vec![" ", "  ", "-", "\u{a0}", "\u{2009}", "–", "‑", " - ", "\u{200b}"]),
            wide in any::<bool>(),
            before in "[a-z ,:(]{0,5}",
            after in "[a-z ,:)]{0,5}",
        ) {
            let number = card(first, &middle);
            let written: String = number.chars().enumerate().flat_map(|(n, c)| {
                let gap = if n > 0 && cuts.contains(&n) { gap } else { "" };
                let c = if wide { char::from_u32(u32::from(c) - 0x30 + 0xff10).unwrap() } else { c };
                gap.chars().chain([c])
            }).collect();
            let text = format!("{before}{written}{after}");
            prop_assert!(holds_card_number(&text), "{}", text);
        }

        #[test]
        fn numbers_of_no_issuer_are_none(number in "[01789][0-9]{12,18}") {
            prop_assert!(!holds_card_number(&number));
        }

        #[test]
        fn any_text_can_be_looked_at(text in any::<String>()) {
            let _ = holds_card_number(&text);
        }
    }
}
