//! Pure rules for the fields of accounts and addresses.

use email_address::{EmailAddress, Options};

use super::PostalAddress;
use crate::error::Invalid;

/// The longest address that SMTP can carry (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MAX_EMAIL: usize = 254;
/// The longest name of a person.
const MAX_NAME: usize = 100;
/// The longest line of an address.
const MAX_LINE: usize = 200;

/// An e-mail address as it is kept and compared: trimmed and in lower case.
///
/// # Errors
/// `invalid_email` at `/email` if it isn't an address that mail can be sent to.
pub fn normalise_email(text: &str) -> Result<String, Invalid> {
    let email = text.trim().to_lowercase();
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    // Quoted local parts are legal, but nobody has one, and they can hold what breaks a mail header.
    let plain = email.len() <= MAX_EMAIL && !email.contains(|c: char| c.is_control() || c.is_whitespace() || c == '"');
    if plain && EmailAddress::parse_with_options(&email, options).is_ok() {
        Ok(email)
    } else {
        Err(Invalid::field("/email", "invalid_email", "is not an e-mail address"))
    }
}

/// A postal address, trimmed, with empty optional fields left out and its country in upper case. Pointers to bad fields
/// begin with `prefix` (say, `/shipping_address`).
///
/// # Errors
/// Names each field that is missing, too long, holds a card number, or isn't a country.
pub fn validate_address(address: &PostalAddress, prefix: &str) -> Result<PostalAddress, Invalid> {
    let mut invalid = Invalid::default();
    let mut line =
        |text: &str, field: &str, min, max| text_field(&mut invalid, text, &format!("{prefix}/{field}"), min, max);
    let mut clean = PostalAddress {
        name: line(&address.name, "name", 1, MAX_LINE),
        line1: line(&address.line1, "line1", 1, MAX_LINE),
        line2: optional(address.line2.as_deref(), |text| line(text, "line2", 0, MAX_LINE)),
        city: line(&address.city, "city", 1, MAX_NAME),
        region: optional(address.region.as_deref(), |text| line(text, "region", 0, MAX_NAME)),
        postal_code: line(&address.postal_code, "postal_code", 1, 20),
        country: address.country.trim().to_uppercase(),
        phone: None,
    };
    invalid.check(
        is_country(&clean.country),
        &format!("{prefix}/country"),
        "invalid_country",
        "must be a country's two letters (ISO 3166-1 alpha-2), like DE",
    );
    clean.phone = phone(&mut invalid, address.phone.as_deref(), &format!("{prefix}/phone"));
    invalid.into_result().map(|()| clean)
}

/// A person's name, trimmed.
pub(super) fn name(invalid: &mut Invalid, text: &str, pointer: &str) -> String {
    text_field(invalid, text, pointer, 1, MAX_NAME)
}

/// A phone number, trimmed; an empty one is none.
pub(super) fn phone(invalid: &mut Invalid, text: Option<&str>, pointer: &str) -> Option<String> {
    let phone = text.map(str::trim).filter(|text| !text.is_empty())?;
    let digits = phone.bytes().filter(u8::is_ascii_digit).count();
    let international = phone.starts_with('+');
    let number = if international { &phone[1..] } else { phone };
    let spelled = number.chars().all(|c| c.is_ascii_digit() || " -./()".contains(c));
    // E.164 numbers have at most 15 digits. One with its country code can pass the card test by chance; no card begins with +.
    if !spelled || !(3..=15).contains(&digits) || phone.len() > 40 {
        invalid.add(pointer, "invalid_phone", "is not a phone number");
    } else if !international && holds_card_number(phone) {
        refuse_card_number(invalid, pointer);
    }
    Some(phone.to_owned())
}

fn text_field(invalid: &mut Invalid, text: &str, pointer: &str, min: usize, max: usize) -> String {
    invalid.check_text(text, pointer, min, max);
    invalid.check(!text.contains(char::is_control), pointer, "invalid_character", "must not hold control characters");
    if holds_card_number(text) {
        refuse_card_number(invalid, pointer);
    }
    text.trim().to_owned()
}

fn refuse_card_number(invalid: &mut Invalid, pointer: &str) {
    invalid.add(pointer, "card_number", "looks like it holds a card number, which must never be sent here");
}

fn optional(text: Option<&str>, clean: impl FnOnce(&str) -> String) -> Option<String> {
    text.map(clean).filter(|text| !text.is_empty())
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && celes::Country::from_alpha2(code).is_ok()
}

/// Whether a text holds 13 to 19 digits that pass the Luhn test (ISO/IEC 7812), in one piece or in groups with a blank or dash
/// between: a payment card's number, which this shop must never keep or log.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_digit() || c == ' ' || c == '-')).any(|run| {
        let mut groups = Vec::new();
        run.split([' ', '-']).any(|group| {
            if group.is_empty() {
                groups.clear();
                return false;
            }
            groups.push(group);
            ends_in_card_number(&groups)
        })
    })
}

/// Whether some of the last groups together are a card number.
fn ends_in_card_number(groups: &[&str]) -> bool {
    let mut digits = String::new();
    groups.iter().rev().any(|group| {
        digits.insert_str(0, group);
        (13..=19).contains(&digits.len()) && passes_luhn(&digits)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> PostalAddress {
        PostalAddress {
            name: " Ada Lovelace ".into(),
            line1: "12 St James's Square".into(),
            line2: Some("  ".into()),
            city: "London".into(),
            postal_code: "SW1Y 4JH".into(),
            country: "gb".into(),
            phone: Some("+44 20 7946 0958".into()),
            ..PostalAddress::default()
        }
    }

    fn codes(result: Result<PostalAddress, Invalid>) -> Vec<(String, &'static str)> {
        result.unwrap_err().errors.into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn emails_are_compared_in_lower_case() {
        assert_eq!(normalise_email("  Ada@Example.COM ").unwrap(), "ada@example.com");
        assert_eq!(normalise_email("a.b+c@sub.example.co.uk").unwrap(), "a.b+c@sub.example.co.uk");
    }

    #[test]
    fn what_mail_cannot_reach_is_no_email() {
        let long = format!("{}@example.com", "a".repeat(250));
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "a b@example.com",
            "ada@example..com",
            "ada@[127.0.0.1]",
            "Ada <ada@example.com>",
            "\"a\"@example.com",
            "ada@example.com\r\nBcc: x@example.com",
            &long,
        ] {
            assert_eq!(normalise_email(text).unwrap_err().errors[0].code, "invalid_email", "{text}");
        }
    }

    #[test]
    fn an_address_is_trimmed_and_its_empty_parts_left_out() {
        let clean = validate_address(&address(), "").unwrap();
        assert_eq!((clean.name.as_str(), clean.country.as_str()), ("Ada Lovelace", "GB"));
        assert_eq!((clean.line2, clean.phone.as_deref()), (None, Some("+44 20 7946 0958")));
    }

    #[test]
    fn each_bad_field_of_an_address_is_named() {
        let bad = PostalAddress {
            name: " ".into(),
            line1: "x".repeat(201),
            city: "Lon\ndon".into(),
            country: "GBR".into(),
            phone: Some("call me".into()),
            ..address()
        };
        let expected = [
            ("/to/name", "required"),
            ("/to/line1", "too_long"),
            ("/to/city", "invalid_character"),
            ("/to/country", "invalid_country"),
            ("/to/phone", "invalid_phone"),
        ];
        assert_eq!(codes(validate_address(&bad, "/to")), expected.map(|(at, code)| (at.to_owned(), code)));
        for country in ["XX", "", "D", "de_", "ÄÖ"] {
            let bad = PostalAddress { country: country.into(), ..address() };
            assert_eq!(codes(validate_address(&bad, "")), [("/country".to_owned(), "invalid_country")], "{country}");
        }
    }

    #[test]
    fn card_numbers_are_refused_wherever_text_goes() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "my card 4111 1111 1111 1111 2026",
            "12 4111111111111111",
            "378282246310005",
            "x4111111111111111y",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
        for text in ["", "4111111111111112", "4111", "4111, 1111, 1111, 1111", "4111  1111  1111  1111", "Route 66"] {
            assert!(!holds_card_number(text), "{text}");
        }
        let bad = PostalAddress { line2: Some("4111 1111 1111 1111".into()), ..address() };
        assert_eq!(codes(validate_address(&bad, "")), [("/line2".to_owned(), "card_number")]);
    }

    #[test]
    fn phones_have_three_to_fifteen_digits() {
        for (text, good) in [
            ("112", true),
            ("(030) 901820", true),
            ("+49 30/9018-20", true),
            ("12", false),
            ("+1234567890123456", false),
            ("4111 1111 1111 1111", false),
            ("378282246310005", false),
            ("0800 CALL", false),
        ] {
            let mut invalid = Invalid::default();
            phone(&mut invalid, Some(text), "/phone");
            assert_eq!(invalid.errors.is_empty(), good, "{text}");
        }
    }
}
