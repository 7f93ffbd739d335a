//! NaN and infinities in JSON, which has none.

use std::io::{self, BufRead, Read};

/// Puts the bare words that Python's `json` writes (`NaN`, `Infinity`, `-Infinity`) between quotation marks, so that a
/// reader of JSON finds strings there; every line stays where it is.
pub(super) struct Literals<R> {
    input: R,
    place: Place,
    /// What was read, with the marks, and how much of it was handed on.
    ready: Vec<u8>,
    handed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Outside,
    /// Behind a sign that may be that of an infinity.
    Sign,
    Word,
    String,
    /// Behind a backslash.
    Escape,
}

impl<R> Literals<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            place: Place::Outside,
            ready: Vec::new(),
            handed: 0,
        }
    }
}

/// Makes `bytes` ready, from one place to the next.
fn mark(bytes: &[u8], mut place: Place, ready: &mut Vec<u8>) -> Place {
    for &byte in bytes {
        if place == Place::Word && !byte.is_ascii_alphabetic() {
            ready.push(b'"');
            place = Place::Outside;
        }
        if place == Place::Sign {
            place = if byte == b'I' {
                ready.push(b'"');
                Place::Word
            } else {
                Place::Outside
            };
            ready.push(b'-');
        }
        place = match (place, byte) {
            (Place::Outside, b'-') => {
                place = Place::Sign;
                continue;
            }
            (Place::Outside, b'N' | b'I') => {
                ready.push(b'"');
                Place::Word
            }
            (Place::Outside, b'"') | (Place::Escape, _) => Place::String,
            (Place::String, b'"') => Place::Outside,
            (Place::String, b'\\') => Place::Escape,
            (place, _) => place,
        };
        ready.push(byte);
    }
    place
}

impl<R: BufRead> Read for Literals<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What was read may be no more than a sign, of which nobody knows yet what it belongs to.
        while self.handed == self.ready.len() {
            self.ready.clear();
            self.handed = 0;
            let bytes = self.input.fill_buf()?;
            let len = bytes.len();
            self.place = mark(bytes, self.place, &mut self.ready);
            self.input.consume(len);
            if len == 0 {
                match std::mem::replace(&mut self.place, Place::Outside) {
                    Place::Sign => self.ready.push(b'-'),
                    Place::Word => self.ready.push(b'"'),
                    _ => (),
                }
                break;
            }
        }
        let mut rest = &self.ready[self.handed..];
        let read = rest.read(buffer)?;
        self.handed += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Read through buffers of every size, so that each word is cut everywhere.
    fn read(text: &str) -> String {
        let mut results = (1..40).map(|size| {
            let mut all = String::new();
            let input = BufReader::with_capacity(size, text.as_bytes());
            Literals::new(input).read_to_string(&mut all).unwrap();
            all
        });
        let first = results.next().unwrap();
        assert!(results.all(|result| result == first), "{text}");
        first
    }

    #[test]
    fn bare_words_become_strings() {
        assert_eq!(
            read(r#"{"a": NaN,"b":-Infinity}"#),
            r#"{"a": "NaN","b":"-Infinity"}"#
        );
        assert_eq!(
            read("[Infinity, -1e-5, NaN]\n-"),
            "[\"Infinity\", -1e-5, \"NaN\"]\n-"
        );
        assert_eq!(read("NaN"), "\"NaN\"");
    }

    #[test]
    fn what_stands_in_strings_stays() {
        for text in [
            r#"{"NaN": "Infinity -Infinity NaN", "a": -0.5}"#,
            r#"["\"NaN", "\\", null, true, -2, "N\\\"I"]"#,
            "",
        ] {
            assert_eq!(read(text), text);
        }
    }
}
