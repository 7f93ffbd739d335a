//! Logs as JSON: an object for each step, one after the other or in a list, or a trainer's state with its `log_history`.

use std::fmt;
use std::io::{BufRead, BufReader};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::literals::Literals;
use super::number::{parse, shown};
use super::{Ended, Rows};
use crate::names::{Expected, Quantity, find, find_under};

/// Reads one value after the other.
pub(super) fn read(input: impl BufRead, rows: &mut Rows<'_, '_>) -> Result<(), Ended> {
    let input = BufReader::with_capacity(1 << 16, Literals::new(input));
    let mut json = serde_json::Deserializer::from_reader(input);
    let mut log = Log {
        rows,
        names: Names::default(),
        ranks: [u16::MAX; 4],
        ended: None,
        begun: false,
        any_row: false,
    };
    loop {
        log.begun = false;
        let place = Place {
            log: &mut log,
            is_top: true,
        };
        match place.deserialize(&mut json) {
            Ok(()) => (),
            Err(error) if error.is_eof() && !log.begun => break,
            Err(error) => {
                return Err(match log.ended.take() {
                    Some(ended) => ended.at_line(line(&error)),
                    None => not_json(error),
                });
            }
        }
    }
    if log.any_row && log.ranks[1..] == [u16::MAX; 3] {
        return Err(Ended::expected(Expected, log.names.shown()));
    }
    Ok(())
}

/// Where it went wrong; what is found out at the beginning of a line is about the one before.
fn line(error: &serde_json::Error) -> u64 {
    let is_before = error.column() == 0 && error.line() > 1;
    (error.line() - usize::from(is_before)) as u64
}

fn not_json(error: serde_json::Error) -> Ended {
    if error.is_io() {
        return Ended::reading(&error.into());
    }
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = said.strip_suffix(&place).unwrap_or(&said);
    Ended::Log(format!("this is no JSON: {what}")).at_line(line(&error))
}

/// A log that is being read.
struct Log<'r, 'a, 't> {
    rows: &'r mut Rows<'a, 't>,
    names: Names,
    /// How usual the names are that rows went by so far, for each quantity: what has another name than they had is
    /// something else, as the mean over a whole run that a trainer writes at its end.
    ranks: [u16; 4],
    /// Why it is read no further, which JSON's own errors cannot hold.
    ended: Option<Ended>,
    /// Whether there is a value, and not only the end.
    begun: bool,
    any_row: bool,
}

impl Log<'_, '_, '_> {
    fn end<T, E: Error>(&mut self, ended: Ended) -> Result<T, E> {
        self.ended = Some(ended);
        Err(E::custom("it has ended"))
    }
}

/// Where an object may stand, or a list of them.
struct Place<'l, 'r, 'a, 't> {
    log: &'l mut Log<'r, 'a, 't>,
    /// Outside of every list.
    is_top: bool,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the values of a step")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.log.begun = true;
        if !self.is_top {
            return self.log.end(Ended::expected(
                "an object with the values of a step",
                "a list",
            ));
        }
        loop {
            let place = Place {
                log: &mut *self.log,
                is_top: false,
            };
            if list.next_element_seed(place)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { log, is_top } = self;
        log.begun = true;
        let mut row = Values {
            values: [None; 4],
            ranks: log.ranks,
        };
        let mut is_state = false;
        while let Some(found) = object.next_key_seed(Name::outer(&mut log.names))? {
            if let Some(found) = found {
                object.next_value_seed(row.cell(found, &mut log.ended))?;
            } else if is_top && log.names.outer == "log_history" {
                is_state = true;
                object.next_value_seed(Place { log, is_top })?;
            } else {
                object.next_value_seed(Nested { log, row: &mut row })?;
            }
        }
        if is_state {
            return Ok(());
        }
        log.any_row = true;
        log.ranks = row.ranks;
        match log.rows.push(row.values) {
            Ok(()) => Ok(()),
            Err(ended) => log.end(ended),
        }
    }
}

/// What a row tells, as far as it is read.
struct Values {
    values: [Option<f64>; 4],
    ranks: [u16; 4],
}

impl Values {
    fn cell<'c>(
        &'c mut self,
        (quantity, rank): (Quantity, u16),
        ended: &'c mut Option<Ended>,
    ) -> Cell<'c> {
        let best = &mut self.ranks[quantity as usize];
        // Of names that are less usual than another the values are read and left.
        let value = (rank <= *best).then(|| {
            *best = rank;
            &mut self.values[quantity as usize]
        });
        Cell {
            quantity,
            value,
            ended,
        }
    }
}

/// Where the value of a quantity stands.
struct Cell<'c> {
    quantity: Quantity,
    value: Option<&'c mut Option<f64>>,
    ended: &'c mut Option<Ended>,
}

impl Cell<'_> {
    fn set(self, number: Option<f64>) {
        if let Some(value) = self.value {
            *value = number;
        }
    }

    fn not<E: Error>(self, found: &str) -> Result<(), E> {
        let what = format!("a number for the {}", self.quantity.name());
        *self.ended = Some(Ended::expected(what, found));
        Err(E::custom("no number"))
    }
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.set(Some(number));
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.set(Some(number as f64));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.set(Some(number as f64));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.set(None);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match parse(text.as_bytes()) {
            Ok(number) => {
                self.set(number);
                Ok(())
            }
            Err(_) => self.not(&shown(text.as_bytes())),
        }
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<(), E> {
        self.not(if is { "true" } else { "false" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.not("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.not("an object")
    }
}

/// A value under a name that says nothing; if it is an object, what stands in it may.
struct Nested<'l, 'r, 'a, 't> {
    log: &'l mut Log<'r, 'a, 't>,
    row: &'l mut Values,
}

impl<'de> DeserializeSeed<'de> for Nested<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { log, row } = self;
        while let Some(found) = object.next_key_seed(Name::inner(&mut log.names))? {
            match found {
                Some(found) => object.next_value_seed(row.cell(found, &mut log.ended))?,
                None => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// So many names are remembered; a log that makes new ones up in every row has them looked up each time.
const MOST_NAMES: usize = 64;

/// The names that were met, and what they are of.
#[derive(Default)]
struct Names {
    known: Vec<Known>,
    /// The last that is of nothing, outside of inner objects.
    outer: String,
}

struct Known {
    /// Empty for names that stand outside.
    outer: Box<str>,
    name: Box<str>,
    found: Option<(Quantity, u16)>,
}

impl Names {
    fn find(&mut self, is_inner: bool, name: &str) -> Option<(Quantity, u16)> {
        let outer = if is_inner { &*self.outer } else { "" };
        let is_it = |known: &&Known| *known.name == *name && *known.outer == *outer;
        if let Some(known) = self.known.iter().find(is_it) {
            return known.found;
        }
        let found = if is_inner {
            find_under(outer, name)
        } else {
            find(name)
        };
        if self.known.len() < MOST_NAMES {
            self.known.push(Known {
                outer: outer.into(),
                name: name.into(),
                found,
            });
        }
        found
    }

    fn shown(&self) -> String {
        let name = |known: &Known| shown(known.name.as_bytes());
        let mut all: Vec<_> = self.known.iter().take(12).map(name).collect();
        if self.known.len() > all.len() {
            all.push("more".into());
        }
        all.join(", ")
    }
}

/// A name to be read.
struct Name<'n> {
    names: &'n mut Names,
    is_inner: bool,
}

impl<'n> Name<'n> {
    fn outer(names: &'n mut Names) -> Self {
        let is_inner = false;
        Self { names, is_inner }
    }

    fn inner(names: &'n mut Names) -> Self {
        let is_inner = true;
        Self { names, is_inner }
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<(Quantity, u16)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<(Quantity, u16)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.names.find(self.is_inner, name);
        if found.is_none() && !self.is_inner {
            self.names.outer.clear();
            self.names.outer.push_str(name);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, rows_of};
    use crate::log::Row;

    const NAN: f64 = f64::NAN;

    #[test]
    fn lines_lists_and_the_state_of_a_trainer() {
        let expected = Ok(rows(&[[10.0, 0.5, 2.0], [20.0, 0.25, NAN]]));
        for log in [
            r#"{"step": 10, "loss": 0.5, "grad_norm": 2}
               {"step": 20, "loss": 0.25, "grad_norm": null}"#,
            r#"{"lr": [1, {"loss": 3}], "gnorm": 2.0, "train/loss": "0.5", "text": "loss", "iter": 10.0}
               {"iter": 20, "train/loss": 0.25, "ok": true, "deep": {"a": {"loss": 7}}}"#,
            r#"[{"step": 10, "loss": 0.5, "grad_norm": 2}, {"loss": 0.25, "step": 20}]"#,
            r#"{"global_step": 10, "train": {"loss": 0.5, "grad_norm": 2}, "eval": {"loss": 3}}
               {"global_step": 20, "eval": {"loss": 3}, "train": {"loss": 0.25}}"#,
            r#"{"metrics": {"step": 10, "loss": 0.5, "grad": 1}, "grad": {"norm": 2}}
               {"metrics": {"step": 20, "loss": 0.25}}"#,
            r#"{
              "best_metric": null, "epoch": 2.0, "global_step": 20, "is_world_process_zero": true,
              "log_history": [
                {"epoch": 1.0, "grad_norm": 2.0, "learning_rate": 1e-4, "loss": 0.5, "step": 10},
                {"epoch": 1.0, "eval_loss": 0.7, "eval_runtime": 3.1, "step": 10},
                {"epoch": 2.0, "learning_rate": 5e-5, "loss": 0.25, "step": 20},
                {"epoch": 2.0, "step": 20, "total_flos": 1e15, "train_loss": 0.375, "train_runtime": 9.5}
              ],
              "max_steps": 20, "stateful_callbacks": {"TrainerControl": {"args": {"loss": 1}}}
            }"#,
        ] {
            assert_eq!(rows_of(log, None), expected, "{log}");
        }
    }

    #[test]
    fn nan_and_infinities_as_python_writes_them() {
        let log = "{\"loss\": NaN, \"grad_norm\": Infinity}\n{\"loss\":-Infinity, \"param_norm\": \"NaN\"}";
        let rows = rows_of(log, None).unwrap();
        assert!(rows[0].loss.unwrap().is_nan() && rows[1].weight_norm.unwrap().is_nan());
        let [grad_norm, loss] = [rows[0].grad_norm, rows[1].loss];
        assert_eq!(
            [grad_norm, loss],
            [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]
        );
    }

    #[test]
    fn the_plainest_name_counts_also_in_later_rows() {
        let log = r#"{"train_loss": 4, "loss": 1}
                     {"loss": 2, "train_loss": 4}
                     {"train_loss": 4}
                     {"loss": null, "train_loss": 4, "gnorm": 1}"#;
        let row = |place, step, loss, grad_norm| Row {
            place,
            step,
            loss,
            grad_norm,
            weight_norm: None,
        };
        let expected = [
            row(1, 1.0, Some(1.0), None),
            row(2, 2.0, Some(2.0), None),
            row(3, 4.0, None, Some(1.0)),
        ];
        assert_eq!(rows_of(log, None), Ok(expected.to_vec()));
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let bad = |row: &str| rows_of(format!("{{\"loss\": 1}}\n\n{row}\n"), None).unwrap_err();
        for (row, found) in [
            (r#""1.x""#, r#""1.x""#),
            ("[1]", "a list"),
            ("{}", "an object"),
            ("true", "true"),
        ] {
            let why = format!("line 3: expected a number for the loss, found {found}");
            assert_eq!(bad(&format!("{{\"loss\": {row}}}")), why);
        }
        for (row, why) in [
            (
                "{\"loss\": 1",
                "line 3: this is no JSON: EOF while parsing an object",
            ),
            ("{\"loss\" 1}", "line 3: this is no JSON: expected `:`"),
            ("{\"loss\": 1,}", "line 3: this is no JSON: trailing comma"),
            (
                "{\"loss\": 1e999}",
                "line 3: this is no JSON: number out of range",
            ),
            ("loss", "line 3: this is no JSON: expected value"),
            (
                "3",
                "line 3: this is no JSON: invalid type: integer `3`, expected an object with the values of a step",
            ),
            (
                "[[]]",
                "line 3: expected an object with the values of a step, found a list",
            ),
        ] {
            let said = bad(row);
            assert!(said.starts_with(why), "{row}: {said}");
        }
        let why = rows_of(b"{\"loss\": 1}\n{\"a\xff\": 1}", None).unwrap_err();
        assert!(
            why.starts_with("line 2: this is no JSON: invalid unicode code point"),
            "{why}"
        );
    }

    #[test]
    fn names_are_asked_for_where_none_is_known() {
        let why = rows_of("{\"ce\": 1, \"t\": 2}\n{\"ce\": 1}", None).unwrap_err();
        assert!(why.starts_with("expected columns named loss, "), "{why}");
        assert!(why.ends_with("found \"ce\", \"t\""), "{why}");
        let why = rows_of("{\"loss\": 1}", Some("step,loss")).unwrap_err();
        assert!(why.contains("this is JSON"), "{why}");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = "[".repeat(1_000_000);
        for log in [
            deep.clone(),
            format!("{{\"a\": {deep}"),
            format!("{{\"a\": {{\"b\": {deep}"),
        ] {
            assert!(rows_of(log, None).unwrap_err().starts_with("line 1: "));
        }
    }

    /// More names than are remembered.
    #[test]
    fn a_log_may_have_any_number_of_names() {
        let names = (0..500).map(|i| format!("\"x{i}\": {{\"y{i}\": 1}}, "));
        let other = names.collect::<Vec<_>>().concat();
        let log = format!("{{{other}\"loss\": 1}}\n").repeat(3);
        let expected = [[1.0, 1.0, NAN], [2.0, 1.0, NAN], [3.0, 1.0, NAN]];
        assert_eq!(rows_of(log, None), Ok(rows(&expected)));
    }
}
