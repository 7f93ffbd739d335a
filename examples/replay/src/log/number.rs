//! Numbers as programs print them.

/// Nothing was written where a number could stand, or something else was.
#[derive(Debug, PartialEq)]
pub(super) struct NoNumber;

/// The number in a cell, if it is not empty. NaN and infinities are numbers.
pub(super) fn parse(cell: &[u8]) -> Result<Option<f64>, NoNumber> {
    let cell = cell.trim_ascii();
    let empty = ["", "none", "null", "na", "n/a"];
    if empty
        .iter()
        .any(|empty| cell.eq_ignore_ascii_case(empty.as_bytes()))
    {
        return Ok(None);
    }
    let text = std::str::from_utf8(cell).map_err(|_| NoNumber)?;
    text.parse().map(Some).map_err(|_| NoNumber)
}

/// So many characters of what is not as expected are shown.
const SHOWN: usize = 40;

/// What stands in a cell, for a sentence.
pub(super) fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(&cell[..cell.len().min(4 * SHOWN)]);
    let mut characters = text.trim().chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinities_are_numbers_and_empty_is_none() {
        for (text, number) in [
            ("0.5", 0.5),
            (" 1e-3 ", 1e-3),
            ("+2", 2.0),
            ("-7", -7.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(Some(number)), "{text}");
        }
        for text in ["nan", "NaN", "-nan"] {
            assert!(parse(text.as_bytes()).unwrap().unwrap().is_nan(), "{text}");
        }
        for text in ["", "  ", "None", "null", "NA", "n/a"] {
            assert_eq!(parse(text.as_bytes()), Ok(None), "{text}");
        }
        for text in ["0,5", "tensor(0.5)", "1 2", "--", "0x10", "half"] {
            assert_eq!(parse(text.as_bytes()), Err(NoNumber), "{text}");
        }
        assert_eq!(parse(b"\xff1"), Err(NoNumber));
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        assert_eq!(shown(b" a\x1b[2Jb "), r#""a\u{1b}[2Jb""#);
        assert_eq!(shown(b"\xff"), "\"\u{fffd}\"");
        let long = shown("é".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), SHOWN + 3);
    }
}
