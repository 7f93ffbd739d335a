//! How wide words are, before anybody knows in which font they will be shown.

/// What an XML document may hold and a line of text can show.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|c| if shown(c) { c } else { '\u{fffd}' })
        .collect()
}

/// The width in pixels of a text in letters of this size, in the widest of the fonts that readers usually have without
/// asking for it (`DejaVu` Sans; Arial and Noto Sans are narrower).
pub(super) fn width(text: &str, size: f64) -> f64 {
    size * text.chars().map(advance).sum::<f64>()
}

/// The width of a letter as a share of its size.
fn advance(c: char) -> f64 {
    match c {
        ' ' | '\'' | ',' | '.' | 'J' | 'i' | 'j' | 'l' | '·' => 0.33,
        '!'
        | '('
        | ')'
        | '-'
        | '/'
        | ':'
        | ';'
        | 'I'
        | '['
        | '\\'
        | ']'
        | 'f'
        | 'r'
        | 't'
        | '|'
        | '°'
        | '²'
        | '³'
        | '¹'
        | '⁰'..='⁻' => 0.41,
        '"' | '_' | 's' | 'z' | '‖' | '–' => 0.52,
        '*' | '?' | 'F' | 'L' | 'P' | 'T' | 'Y' | '`' | 'a' | 'c' | 'e' | 'k' | 'o' | 'v' | 'x'
        | 'y' => 0.61,
        '#' | '+' | '<' | '=' | '>' | 'M' | '^' | '~' | '×' | '≥' | '≤' => 0.88,
        '&' | 'D' | 'G' | 'H' | 'N' | 'O' | 'Q' | 'U' | 'w' => 0.82,
        // Among them scripts whose letters fill a square.
        '%' | '@' | 'W' | 'm' | '…' | '→' | '\u{2e80}'.. => 1.0,
        _ => 0.7,
    }
}

/// As much of a text as has room, with dots for what has none.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.into();
    }
    let mut rest = room - width("…", size);
    let fits = |c: &char| {
        rest -= size * advance(*c);
        rest >= 0.0
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// A text in lines that have room.
pub(super) fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fitted(word, size, room)),
        }
    }
    lines
}

/// Names without the parts, between full stops, with which all of them begin or end.
pub(super) fn apart(names: &[String]) -> Vec<String> {
    let parts: Vec<Vec<&str>> = names.iter().map(|name| name.split('.').collect()).collect();
    let (Some(first), 2..) = (parts.first(), parts.len()) else {
        return names.to_vec();
    };
    // A part of each stays.
    let most = parts.iter().map(|parts| parts.len() - 1).min().unwrap_or(0);
    let is_at_all = |from_end: bool, place: usize| {
        let at = |parts: &[&str]| {
            parts[if from_end {
                parts.len() - 1 - place
            } else {
                place
            }]
            .to_owned()
        };
        parts.iter().all(|parts| at(parts) == at(first))
    };
    let before = (0..most)
        .take_while(|&place| is_at_all(false, place))
        .count();
    let after = (0..most - before)
        .take_while(|&place| is_at_all(true, place))
        .count();
    let (begin, end) = (["", "…"][before.min(1)], ["", "…"][after.min(1)]);
    let kept = parts
        .iter()
        .map(|parts| parts[before..parts.len() - after].join("."));
    kept.map(|name| format!("{begin}{name}{end}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of the advances of `DejaVu` Sans, from the tables of the font.
    #[test]
    fn no_text_is_wider_than_expected_nor_far_narrower() {
        for (text, exact) in [
            ("before clipping", 7.479),
            ("persistent norm", 7.963),
            ("norm threshold @ 12", 10.588),
            ("cell.w_rec", 4.933),
            ("1000", 2.545),
        ] {
            let ratio = width(text, 1.0) / exact;
            assert!((1.0..1.12).contains(&ratio), "{text}: {ratio}");
        }
    }

    #[test]
    fn what_does_not_fit_ends_in_dots() {
        assert_eq!(fitted("short", 10.0, 100.0), "short");
        let cut = fitted("encoder.layers.11.weight", 10.0, 100.0);
        assert!(cut.starts_with("encoder.la") && cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 10.0) <= 100.0);
        assert_eq!(fitted("a b", 10.0, 0.0), "…");
    }

    #[test]
    fn names_lose_what_they_have_in_common() {
        let apart =
            |names: &[&str]| apart(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let layer = |i: u32| format!("encoder.layers.{i}.attention.weight");
        assert_eq!(apart(&[&layer(3), &layer(12)]), ["…3…", "…12…"]);
        assert_eq!(apart(&["cell.w_in", "cell.w_rec"]), ["…w_in", "…w_rec"]);
        assert_eq!(apart(&["w", "b.w"]), ["w", "b.w"]);
        assert_eq!(apart(&["a.b", "a.b"]), ["…b", "…b"]);
        assert_eq!(apart(&["a.b"]), ["a.b"]);
    }

    #[test]
    fn lines_have_room_and_keep_every_word() {
        let text = "the norm of the gradients is 244.6, above 10.00 (norm threshold)";
        let lines = wrapped(text, 12.0, 150.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line, 12.0) <= 150.0));
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn nothing_that_no_document_may_hold_is_written() {
        assert_eq!(
            printable("a\u{0}b\nc\u{1b}é‖"),
            "a\u{fffd}b\u{fffd}c\u{fffd}é‖"
        );
    }
}
