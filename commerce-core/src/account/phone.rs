//! Phone numbers. Pure.

use crate::{
    error::Invalid,
    text::{Lines, digits, holds_card_number, is_blank, is_invisible, nfkc},
};

/// How many digits a number has at most (E.164).
const MAX_DIGITS: usize = 15;
/// How many digits an extension has at most.
const MAX_EXTENSION: usize = 11;

/// A phone number as it is kept; an empty one is none.
///
/// Digits, blanks and dashes of all kinds become the plain ones; an extension, which may be written `ext. 12`, `x12` or `;ext=12`
/// (RFC 3966), is kept as ` ext. 12`.
pub(super) fn phone(invalid: &mut Invalid, text: Option<&str>, pointer: &str) -> Option<String> {
    let text = text?;
    if !invalid.check_characters(text, pointer, Lines::One) {
        return None;
    }
    let plain = plain(text);
    if plain.is_empty() {
        return None;
    }
    let (number, extension) = split(&plain);
    let international = number.starts_with('+');
    let count = number.bytes().filter(u8::is_ascii_digit).count();
    // The code that dials abroad stands for the plus sign.
    let most = if number.starts_with("00") { MAX_DIGITS + 2 } else { MAX_DIGITS };
    let spelled = number[usize::from(international)..].chars().all(|c| c.is_ascii_digit() || " -./()".contains(c));
    if !spelled || !(3..=most).contains(&count) || number.len() > 40 || extension == Some("") {
        invalid.add(pointer, "invalid_phone", "is not a phone number");
        // A number with its country's code, or with the 0 that dials, can pass the card test by chance; no card begins like that.
    } else if !international && !number.starts_with('0') && holds_card_number(number) {
        invalid.add_card_number(pointer);
    }
    Some(extension.map_or_else(|| number.to_owned(), |extension| format!("{number} ext. {extension}")))
}

/// In plain digits, blanks and dashes, without what doesn't show and without the `tel:` of a link.
fn plain(text: &str) -> String {
    let composed = digits(&nfkc(text));
    let visible = composed.chars().filter(|c| is_blank(*c) || !is_invisible(*c)).map(|c| match c {
        c if is_blank(c) => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c => c,
    });
    let plain: String = visible.collect();
    let plain = plain.trim();
    let is_link = plain.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"));
    if is_link { plain[4..].trim().to_owned() } else { plain.to_owned() }
}

/// The number and its extension, which is empty if it is none.
fn split(plain: &str) -> (&str, Option<&str>) {
    let Some(at) = plain.find(|c: char| c.is_ascii_alphabetic() || matches!(c, ';' | '#' | ',')) else {
        return (plain, None);
    };
    let (number, tail) = plain.split_at(at);
    let digits = tail.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mark = tail[..tail.len() - digits.len()].to_ascii_lowercase();
    let mark = mark.trim_matches(|c: char| " .:;,=".contains(c));
    let known = matches!(mark, "ext" | "x" | "extn" | "extension" | "#");
    let fits = (1..=MAX_EXTENSION).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    (number.trim_end(), Some(if known && fits { digits } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<String>, &'static str> {
        let mut invalid = Invalid::default();
        let phone = phone(&mut invalid, Some(text), "/phone");
        invalid.errors.first().map_or(Ok(phone), |error| Err(error.code))
    }

    #[test]
    fn phones_have_three_to_fifteen_digits() {
        for good in ["112", "(030) 901820", "+49 30/9018-20", "0049 30 901820", "00393912345678", "+378282246310005"] {
            assert_eq!(read(good), Ok(Some(good.to_owned())));
        }
        for bad in [
            "12",
            "+1234567890123456",
            "4111 1111 1111 1111",
            "0800 CALL",
            "call me",
            "00123456789012345678",
            "+",
            "1-2",
        ] {
            assert_eq!(read(bad), Err("invalid_phone"), "{bad}");
        }
        for none in ["", " ", "\u{200b}\u{a0}"] {
            assert_eq!(read(none), Ok(None));
        }
        assert_eq!(read("+49\0"), Err("invalid_character"));
        assert_eq!(read("+49\n30 901820"), Err("invalid_character"));
    }

    #[test]
    fn only_what_could_be_a_card_is_one() {
        assert_eq!(read("378282246310005"), Err("card_number"));
        assert_eq!(read("3782 822463 10005"), Err("card_number"));
        // Fifteen and more digits that pass the test for cards, but begin as phone numbers do.
        for good in ["0378282246310", "00378282246310005", "+378282246310005"] {
            assert_eq!(read(good), Ok(Some(good.to_owned())), "{good}");
        }
    }

    #[test]
    fn extensions_are_kept_in_one_form() {
        for text in [
            "+49 30 901820 ext. 12",
            "+49 30 901820 ext 12",
            "+49 30 901820 EXT.12",
            "+49 30 901820x12",
            "+49 30 901820 x 12",
            "+49 30 901820;ext=12",
            "tel:+49 30 901820;ext=12",
            "+49 30 901820, ext. 12",
            "+49 30 901820 extension 12",
            "+49\u{a0}30\u{202f}901820 ｘ１２",
            "\u{202a}+49 30 901820 ext. 12\u{202c}",
        ] {
            assert_eq!(read(text), Ok(Some("+49 30 901820 ext. 12".to_owned())), "{text}");
        }
        for bad in
            ["+49 30 901820 ext.", "+49 30 901820 y12", "+49 30 901820 x12x13", "+49 30 901820 x123456789012", "x12"]
        {
            assert_eq!(read(bad), Err("invalid_phone"), "{bad}");
        }
        assert_eq!(read("+49–30−901820"), Ok(Some("+49-30-901820".to_owned())));
        assert_eq!(read("٠٣٠ ٩٠١٨٢٠"), Ok(Some("030 901820".to_owned())));
    }

    #[test]
    fn a_phone_as_kept_is_settled() {
        for text in ["+49 30 901820;ext=12", "030/901820", "tel:112"] {
            let kept = read(text).unwrap().unwrap();
            assert_eq!(read(&kept), Ok(Some(kept)));
        }
    }
}
