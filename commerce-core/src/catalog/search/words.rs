//! Texts taken apart into the words they are found by: one pure function for what is stored and for what is asked.
//!
//! - Letters are lower-cased and spelt in ASCII where they can be: `é` is `e`, `ж` is `zh`. A German or Nordic letter has two
//!   spellings, `ö` is `o` and `oe`; a word is stored in both.
//! - What hyphens, dots, apostrophes and the like join is found by its parts and as one word: `T-Shirt` as `t`, `shirt`, `tshirt`.
//! - `+` and `#` at the end of a word belong to it: `c++`, `c#`.
//! - Scripts that are written without blanks are found by each sign and each pair of neighbours.

use deunicode::deunicode_char;
use icu_normalizer::ComposingNormalizerBorrowed;

/// Longer words are cut: nobody types as much, and databases index no more.
const LONGEST_WORD: usize = 100;
/// So many parts are joined to one word at most.
const MOST_PARTS: usize = 8;
/// A whole title that is longer is cut before it is compared.
const LONGEST_TEXT: usize = 250;

/// A stretch of text without blanks.
enum Run {
    /// Words that are joined by marks, each in its two spellings.
    Words(Vec<[String; 2]>),
    /// Signs of a script without blanks.
    Signs(Vec<char>),
}

/// What of a character counts.
enum Class {
    /// A letter or digit in its two spellings.
    Letter([String; 2]),
    /// A sign of a script that is written without blanks.
    Sign,
    /// A mark that joins what is on both sides of it.
    Joiner,
    /// Part of the word that it ends, as in `c++`.
    Tail,
    /// Nothing at all, such as an accent of its own.
    Silent,
    /// What parts words.
    Gap,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | '0'..='9' => Class::Letter([c.to_string(), c.to_string()]),
        '+' | '#' => Class::Tail,
        // The last are other hyphens, dashes and apostrophes.
        '-'
        | '.'
        | '\''
        | '_'
        | '/'
        | '&'
        | '`'
        | '´'
        | '·'
        | '・'
        | '\u{2010}'..='\u{2015}'
        | '\u{2018}'
        | '\u{2019}'
        | '\u{2bc}'
        | '\u{2212}' => Class::Joiner,
        // Accents of their own, soft hyphens, what is invisible, variants of signs.
        '\u{300}'..='\u{36f}'
        | '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2064}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => Class::Silent,
        _ if is_sign(c) => Class::Sign,
        _ if c.is_alphanumeric() => Class::Letter(spellings(c)),
        _ => Class::Gap,
    }
}

/// Whether a character is of a script that is written without blanks between words.
fn is_sign(c: char) -> bool {
    let block = matches!(c,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Burmese
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' // Hiragana, Katakana
        | '\u{3100}'..='\u{312f}' // Bopomofo
        | '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{20000}'..='\u{3ffff}');
    // Vowels and tones of Thai and its neighbours are no letters, but tell words apart.
    block && (c.is_alphanumeric() || ('\u{e00}'..='\u{17ff}').contains(&c) && !c.is_ascii_punctuation())
}

fn spellings(c: char) -> [String; 2] {
    let both = |plain: &str, long: &str| [plain.to_owned(), long.to_owned()];
    match c {
        'ä' => both("a", "ae"),
        'ö' | 'ø' => both("o", "oe"),
        'ü' => both("u", "ue"),
        'å' => both("a", "aa"),
        _ => {
            let spelt = match deunicode_char(c) {
                Some(text) => text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase(),
                None => c.to_string(),
            };
            [spelt.clone(), spelt]
        }
    }
}

fn runs(text: &str) -> Vec<Run> {
    let lower = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    // Once more: lower-casing may take letters apart.
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(&lower);
    let mut runs: Vec<Run> = Vec::new();
    // How many joining marks came since the last letter or sign; `None` after a gap.
    let mut joints: Option<usize> = None;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match class(c) {
            Class::Letter(spelt) => {
                match (runs.last_mut(), joints) {
                    (Some(Run::Words(parts)), Some(0)) => {
                        if let Some(part) = parts.last_mut() {
                            part[0].push_str(&spelt[0]);
                            part[1].push_str(&spelt[1]);
                        }
                    }
                    (Some(Run::Words(parts)), Some(1)) => parts.push(spelt),
                    _ => runs.push(Run::Words(vec![spelt])),
                }
                joints = Some(0);
            }
            Class::Sign => {
                match (runs.last_mut(), joints) {
                    (Some(Run::Signs(signs)), Some(0 | 1)) => signs.push(c),
                    _ => runs.push(Run::Signs(vec![c])),
                }
                joints = Some(0);
            }
            Class::Joiner => joints = joints.map(|joints| joints + 1),
            Class::Tail => {
                let ends = letters.peek().is_none_or(|next| !matches!(class(*next), Class::Letter(_) | Class::Sign));
                match (runs.last_mut(), joints) {
                    (Some(Run::Words(parts)), Some(0)) if ends => {
                        parts.iter_mut().last().into_iter().flatten().for_each(|part| part.push(c));
                    }
                    _ => joints = None,
                }
            }
            Class::Silent => {}
            Class::Gap => joints = None,
        }
    }
    // Letters that are spelt with nothing, as a soft sign alone, are no words.
    for run in &mut runs {
        if let Run::Words(parts) = run {
            parts.retain(|part| !part[0].is_empty());
        }
    }
    runs.retain(|run| !matches!(run, Run::Words(parts) if parts.is_empty()));
    runs
}

/// The spellings of some parts: one, or two where they differ.
fn spelt(parts: &[[String; 2]]) -> Vec<Vec<&str>> {
    let of = |spelling: usize| parts.iter().map(|part| part[spelling].as_str()).collect::<Vec<_>>();
    let (plain, long) = (of(0), of(1));
    if plain == long { vec![plain] } else { vec![plain, long] }
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

fn word(text: &str) -> String {
    cut(text, LONGEST_WORD)
}

fn joined(parts: &[&str]) -> String {
    word(&parts[..parts.len().min(MOST_PARTS)].concat())
}

/// All words that a text is found by.
pub(super) fn indexed(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in runs(text) {
        match run {
            Run::Words(parts) => {
                for parts in spelt(&parts) {
                    words.extend(parts.iter().map(|part| word(part)));
                    // All that follows any part, so that "wifi" begins a word of "usb-wi-fi-stick".
                    words.extend((0..parts.len().saturating_sub(1)).map(|first| joined(&parts[first..])));
                }
            }
            Run::Signs(signs) => {
                words.extend(signs.iter().map(char::to_string));
                words.extend(signs.windows(2).map(String::from_iter));
            }
        }
    }
    words
}

/// What is asked by a text: for each of its words the ways to meet it, each of which is some words that must all be there.
pub(super) fn asked(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut terms = Vec::new();
    for run in runs(text) {
        let mut ways: Vec<Vec<String>> = Vec::new();
        match run {
            Run::Words(parts) => {
                for parts in spelt(&parts) {
                    ways.push(vec![joined(&parts)]);
                    if parts.len() > 1 {
                        ways.push(parts.iter().take(MOST_PARTS).map(|part| word(part)).collect());
                    }
                }
            }
            Run::Signs(signs) if signs.len() == 1 => ways.push(vec![signs[0].to_string()]),
            Run::Signs(signs) => ways.push(signs.windows(2).take(2 * MOST_PARTS).map(String::from_iter).collect()),
        }
        terms.push(ways);
    }
    terms
}

/// A text as a whole, in its spellings: all its words in one.
pub(super) fn whole(text: &str) -> Vec<String> {
    let mut spellings = [String::new(), String::new()];
    for run in runs(text) {
        for (n, spelling) in spellings.iter_mut().enumerate() {
            match &run {
                Run::Words(parts) => spelling.extend(parts.iter().map(|part| part[n].as_str())),
                Run::Signs(signs) => spelling.extend(signs),
            }
        }
    }
    let [plain, long] = spellings.map(|spelling| cut(&spelling, LONGEST_TEXT));
    if plain.is_empty() {
        Vec::new()
    } else if plain == long {
        vec![plain]
    } else {
        vec![plain, long]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found_by(text: &str) -> BTreeSet<String> {
        indexed(text).into_iter().collect()
    }

    fn words(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn texts_are_found_by_their_words() {
        for (text, expected) in [
            ("Enamel mug, 2 pcs.", &["enamel", "mug", "2", "pcs"][..]),
            ("T-Shirt", &["t", "shirt", "tshirt"]),
            ("O’Brien's", &["o", "brien", "s", "obriens", "briens"]),
            ("C++ und C#", &["c++", "und", "c#"]),
            ("usb+c #5", &["usb", "c", "5"]),
            ("Größe", &["grosse", "groesse"]),
            ("smørrebrød å", &["smorrebrod", "smoerrebroed", "a", "aa"]),
            ("Tête-à-tête", &["tete", "a", "teteatete", "atete"]),
            ("東京 tee", &["東", "京", "東京", "tee"]),
            ("コーヒー・カップ", &["コ", "ー", "ヒ", "カ", "ッ", "プ", "コー", "ーヒ", "ヒー", "ーカ", "カッ", "ップ"]),
            ("ＵＳＢケーブル", &["usb", "ケ", "ー", "ブ", "ル", "ケー", "ーブ", "ブル"]),
            ("чашка", &["chashka"]),
            ("A.B-12/x_y", &["a", "b", "12", "x", "y", "ab12xy", "b12xy", "12xy", "xy"]),
            ("wait... what -- now", &["wait", "what", "now"]),
            ("e\u{301}te\u{ad}e", &["etee"]),
            ("☕ !? +", &[]),
        ] {
            assert_eq!(found_by(text), words(expected), "{text}");
        }
    }

    #[test]
    fn what_is_asked_is_met_by_what_it_is_asked_for() {
        for text in ["T-Shirt", "Größe XL", "c++", "本", "東京タワー", "O'Brien", "a.b.c.d.e.f.g.h.i.j", "Ærø 9/10"]
        {
            let found = found_by(text);
            for ways in asked(text) {
                assert!(ways.iter().any(|way| way.iter().all(|word| found.contains(word))), "{text}: {ways:?}");
            }
        }
        assert_eq!(asked("wi-fi"), [[vec!["wifi".to_owned()], vec!["wi".to_owned(), "fi".to_owned()]]]);
        assert_eq!(asked("本"), [[vec!["本".to_owned()]]]);
        assert_eq!(asked("Öl"), [[vec!["ol".to_owned()], vec!["oel".to_owned()]]]);
    }

    #[test]
    fn a_whole_text_is_the_same_with_and_without_its_marks() {
        for (one, other) in [("T-Shirt", "tshirt"), ("AB-12/X", "ab 12 x"), ("Wi-Fi", "WIFI"), ("C#", "c#")] {
            assert_eq!(whole(one), whole(other));
        }
        assert_eq!(whole("Öl"), ["ol", "oel"]);
        assert_ne!(whole("c++"), whole("c"));
        assert!(whole("?!").is_empty());
    }
}
