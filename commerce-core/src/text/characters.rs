//! Kinds of characters, and the forms of Unicode.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, WhiteSpace},
};

/// A text in Unicode's composed form (NFC).
pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// A text in Unicode's compatibility form (NFKC).
pub(crate) fn nfkc(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text)
}

/// Whether a character shows as white space.
pub(crate) fn is_blank(c: char) -> bool {
    // The Braille blank isn't white space by its property, but it is by its looks.
    c == '\u{2800}' || CodePointSetData::new::<WhiteSpace>().contains(c)
}

/// Whether a character shows nothing and takes no room.
pub(crate) fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

/// Characters of no width that don't shape their neighbours.
pub(super) fn is_filler(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
    )
}
