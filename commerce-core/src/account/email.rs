//! E-mail addresses: which are good, and which are the same. Pure.

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::{
    error::Invalid,
    text::{Lines, nfc, trim},
};

/// The longest address that SMTP can carry (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MAX_EMAIL: usize = 254;
/// The longest part before the @ (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// An e-mail address as it is kept, compared and written to: trimmed, in lower case, its domain in ASCII (IDNA, UTS 46), so that
/// `user@münchen.example` and `user@xn--mnchen-3ya.example` are one mailbox.
///
/// # Errors
/// `invalid_email` at `/email` if it isn't an address that any mail server can send to: one with other letters than ASCII before
/// the @ isn't (see [`normalise_international_email`]). `invalid_character` for control characters.
pub fn normalise_email(text: &str) -> Result<String, Invalid> {
    let email = normalise_international_email(text)?;
    if email.is_ascii() {
        Ok(email)
    } else {
        let detail = "has letters before the @ that this shop can't send mail to; use an address in plain letters";
        Err(Invalid::field("/email", "invalid_email", detail))
    }
}

/// As [`normalise_email`], for shops whose mail server takes letters of all scripts before the @ (SMTPUTF8, RFC 6531): see
/// [`Mailer::takes_international_addresses`](crate::notification::Mailer::takes_international_addresses). Also for finding accounts
/// that have such an address already.
///
/// # Errors
/// As [`normalise_email`].
pub fn normalise_international_email(text: &str) -> Result<String, Invalid> {
    let mut invalid = Invalid::default();
    invalid.check_characters(text, "/email", Lines::One);
    invalid.into_result()?;
    normalise(text).ok_or_else(|| Invalid::field("/email", "invalid_email", "is not an e-mail address"))
}

fn normalise(text: &str) -> Option<String> {
    let (local, domain) = trim(text).rsplit_once('@')?;
    let local = nfc(local).to_lowercase();
    let domain =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Verify).ok()?;
    let email = format!("{local}@{domain}");
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    // Quoted local parts are legal, but nobody has one, and they can hold what breaks a mail header.
    let plain = !local.chars().any(|c| c == '"' || crate::text::is_blank(c) || crate::text::is_invisible(c));
    let fits = local.len() <= MAX_LOCAL && email.len() <= MAX_EMAIL;
    (plain && fits && EmailAddress::parse_with_options(&email, options).is_ok()).then_some(email)
}

/// What an account with this address may be kept under: as versions before kept it (in lower case, as it was typed), as it is kept
/// now, and with its domain in letters. One form for most addresses.
pub(super) fn forms(text: &str) -> Vec<String> {
    if crate::text::forbidden(text, Lines::One).is_some() {
        return Vec::new();
    }
    let mut forms = vec![text.trim().to_lowercase()];
    if let Some(email) = normalise(text) {
        forms.extend(in_letters(&email));
        forms.push(email);
    }
    forms.dedup();
    forms
}

/// An address with its domain in letters, if it has others than ASCII.
pub(super) fn in_letters(email: &str) -> Option<String> {
    let (local, domain) = email.rsplit_once('@')?;
    let (letters, valid) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow);
    (valid.is_ok() && letters != domain).then(|| format!("{local}@{letters}"))
}

/// The name under which attempts on an account are counted: the same for all spellings of its address.
pub(super) fn counted_as(text: &str) -> String {
    normalise(text).unwrap_or_else(|| text.trim().to_lowercase())
}

/// Where mail to an address goes: addresses kept by versions before may have their domain in letters.
pub(crate) fn reachable(email: &str) -> String {
    normalise(email).unwrap_or_else(|| email.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        normalise_email(text).unwrap_err().errors[0].code
    }

    #[test]
    fn emails_are_compared_in_lower_case() {
        assert_eq!(normalise_email("  Ada@Example.COM ").unwrap(), "ada@example.com");
        assert_eq!(normalise_email("\u{feff}ada@example.com\u{200b}").unwrap(), "ada@example.com");
        assert_eq!(normalise_email("a.b+c@sub.example.co.uk").unwrap(), "a.b+c@sub.example.co.uk");
        assert_eq!(normalise_email("ada@ab--cd.example").unwrap(), "ada@ab--cd.example");
    }

    #[test]
    fn a_domain_is_one_in_all_its_spellings() {
        for text in [
            "user@münchen.example",
            "USER@MÜNCHEN.example",
            "user@mu\u{308}nchen.example",
            "user@xn--mnchen-3ya.example",
            "user@XN--MNCHEN-3YA.EXAMPLE",
            "user@ｍünchen.example",
            "user@mün\u{ad}chen。example",
        ] {
            assert_eq!(normalise_email(text).unwrap(), "user@xn--mnchen-3ya.example", "{text}");
        }
        assert_eq!(normalise_email("user@straße.example").unwrap(), "user@xn--strae-oqa.example");
    }

    #[test]
    fn letters_before_the_at_need_a_server_that_takes_them() {
        for text in ["müller@example.com", "用户@example.com", "ａda@example.com"] {
            assert_eq!(code(text), "invalid_email", "{text}");
        }
        assert_eq!(
            normalise_international_email("Mu\u{308}ller@Bücher.example").unwrap(),
            "müller@xn--bcher-kva.example"
        );
        assert!(normalise_international_email("a\u{200b}da@example.com").is_err());
    }

    #[test]
    fn what_mail_cannot_reach_is_no_email() {
        let (long_local, long) = (format!("{}@example.com", "a".repeat(65)), format!("a@{}.com", "a.".repeat(130)));
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
            "ada@exa_mple.com",
            "ada@xn--a.example",
            &format!("ada@{}.example", "a".repeat(64)),
            &long_local,
            &long,
        ] {
            assert_eq!(code(text), "invalid_email", "{text}");
        }
        for text in [
            "ada@example.com\r\nBcc: x@example.com",
            "ada\0@example.com",
            "ada@exam\u{7f}ple.com",
            "\u{85}ada@example.com",
        ] {
            assert_eq!(code(text), "invalid_character", "{text:?}");
        }
        assert!(normalise_email(&format!("{}@example.com", "a".repeat(64))).is_ok());
    }

    #[test]
    fn accounts_are_found_by_all_spellings() {
        assert_eq!(forms("Ada@Example.com "), ["ada@example.com"]);
        let (letters, ascii) = ("user@münchen.example", "user@xn--mnchen-3ya.example");
        for text in [letters, "User@MÜNCHEN.example", ascii] {
            assert!(forms(text).contains(&letters.to_owned()) && forms(text).contains(&ascii.to_owned()), "{text}");
            assert_eq!(counted_as(text), ascii);
        }
        assert_eq!(
            (reachable(letters), reachable("müller@münchen.example")),
            (ascii.to_owned(), "müller@xn--mnchen-3ya.example".to_owned())
        );
        assert_eq!((forms("a\0@example.com"), in_letters("ada@example.com")), (vec![], None));
    }

    proptest! {
        #[test]
        fn an_address_as_kept_is_settled(text in any::<String>(), local in "[a-zA-Z0-9.+]{1,10}", domain in "[a-zäöüß0-9]{1,10}") {
            for text in [text, format!("{local}@{domain}.example")] {
                if let Ok(email) = normalise_international_email(&text) {
                    prop_assert_eq!(normalise_international_email(&email).unwrap(), email.clone());
                    prop_assert!(email.len() <= MAX_EMAIL);
                }
            }
        }
    }
}
