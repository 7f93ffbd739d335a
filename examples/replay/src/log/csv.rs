//! Logs as tables: a header, and a row for each step.

use std::io::Read;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::number::{parse, shown};
use super::{Ended, Rows};
use crate::names::{Expected, QUANTITIES, find};

/// The separator that the first line has most of, outside of quotation marks: a comma where it has none.
pub(super) fn delimiter(first_line: &[u8]) -> u8 {
    let count = |delimiter| {
        let quoted = |quoted: &mut bool, &byte: &u8| {
            *quoted ^= byte == b'"';
            Some(usize::from(!*quoted && byte == delimiter))
        };
        first_line.iter().scan(false, quoted).sum::<usize>()
    };
    // Of equals the last is taken.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&d| count(d))
        .unwrap_or(b',')
}

/// Reads a table. `names` are those of its columns, in place of its header.
pub(super) fn read(
    input: impl Read,
    delimiter: u8,
    names: Option<&str>,
    rows: &mut Rows<'_, '_>,
) -> Result<(), Ended> {
    // So that the last line ends like all others.
    let input = input.chain(&b"\n"[..]);
    let mut lines = Lines {
        reader: ReaderBuilder::new()
            .delimiter(delimiter)
            // What stands before it on Windows is trimmed: a line has ended only with this, and is counted then.
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(input),
        record: ByteRecord::new(),
    };
    let mut more = lines.next()?;
    let (columns, is_header) = if let Some(names) = names {
        let columns = Columns::named(names.split(',').map(str::as_bytes))?;
        let is_header = columns.only_words(&lines.record);
        (columns, is_header)
    } else {
        let columns = Columns::header(&lines.record);
        (columns.map_err(|why| why.at_line(lines.line()))?, true)
    };
    let header = is_header.then(|| lines.record.clone());
    if is_header {
        more = lines.next()?;
    }
    while more {
        let values = columns.values(&lines.record);
        match values.and_then(|values| rows.push(values)) {
            // A run that was resumed may have written its header once more.
            Err(_) if Some(&lines.record) == header.as_ref() => (),
            taken => taken.map_err(|why| why.at_line(lines.line()))?,
        }
        more = lines.next()?;
    }
    Ok(())
}

/// The rows, but for blank ones.
struct Lines<R> {
    reader: Reader<R>,
    record: ByteRecord,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> Result<bool, Ended> {
        loop {
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) if self.record.len() == 1 && self.record[0].trim_ascii().is_empty() => (),
                Ok(more) => return Ok(more),
                Err(error) => {
                    return Err(match error.into_kind() {
                        csv::ErrorKind::Io(why) => Ended::reading(&why),
                        // There is no other where rows may be of any length and of any bytes.
                        other => Ended::Log(format!("{other:?}")),
                    });
                }
            }
        }
    }

    /// Where the record begins.
    fn line(&self) -> u64 {
        let bytes = self.record.as_slice();
        let inside = bytes.split(|&byte| byte == b'\n').count() as u64 - 1;
        // One that ends in a new line has not ended, since its quotation mark has not.
        let ended = u64::from(!bytes.ends_with(b"\n"));
        self.reader.position().line() - ended - inside
    }
}

/// Where a table has what.
struct Columns {
    count: usize,
    /// Of each of the quantities.
    places: [Option<usize>; 4],
}

impl Columns {
    /// Of these names.
    fn named<'n>(names: impl Iterator<Item = &'n [u8]> + Clone) -> Result<Self, Ended> {
        let mut places = [None; 4];
        let mut ranks = [u16::MAX; 4];
        let mut twice = [None; 4];
        for (place, name) in names.clone().enumerate() {
            let found = std::str::from_utf8(name).ok().and_then(find);
            let Some((quantity, rank)) = found else {
                continue;
            };
            let quantity = quantity as usize;
            if rank == ranks[quantity] {
                twice[quantity] = Some(name);
            }
            if rank < ranks[quantity] {
                (places[quantity], ranks[quantity], twice[quantity]) = (Some(place), rank, None);
            }
        }
        for (quantity, twice) in QUANTITIES.into_iter().zip(twice) {
            if let Some(name) = twice {
                let what = format!("one column for the {}", quantity.name());
                return Err(Ended::expected(
                    what,
                    format!("two that are called {}", shown(name)),
                ));
            }
        }
        if places[1..].iter().all(Option::is_none) {
            let mut shown: Vec<_> = names.clone().take(12).map(shown).collect();
            if names.clone().count() > shown.len() {
                shown.push("more".into());
            }
            return Err(Ended::expected(Expected, shown.join(", ")));
        }
        Ok(Self {
            count: names.count(),
            places,
        })
    }

    /// Of the first row, which must be names.
    fn header(record: &ByteRecord) -> Result<Self, Ended> {
        if record.iter().all(|cell| parse(cell).is_ok()) {
            let found = "numbers; where there is no header, --columns tells the names";
            return Err(Ended::expected(format!("a header with {Expected}"), found));
        }
        Self::named(record.iter())
    }

    /// Whether a row has a word wherever it should have a number: a header then.
    fn only_words(&self, record: &ByteRecord) -> bool {
        let mut cells = self.places.iter().filter_map(|&place| record.get(place?));
        cells.all(|cell| parse(cell).is_err())
    }

    fn values(&self, record: &ByteRecord) -> Result<[Option<f64>; 4], Ended> {
        if record.len() != self.count {
            return Err(Ended::expected(
                format!("{} columns", self.count),
                record.len(),
            ));
        }
        let mut values = [None; 4];
        for (index, value) in values.iter_mut().enumerate() {
            let Some(cell) = self.places[index].and_then(|place| record.get(place)) else {
                continue;
            };
            *value = parse(cell).map_err(|_| {
                let what = format!("a number for the {}", QUANTITIES[index].name());
                Ended::expected(what, shown(cell))
            })?;
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, rows_of};
    use crate::log::Row;

    const NAN: f64 = f64::NAN;

    #[test]
    fn any_separator_order_and_quotation() {
        let expected = Ok(rows(&[[10.0, 0.5, 2.0], [20.0, 0.25, NAN]]));
        for log in [
            "step,loss,grad_norm\n10,0.5,2\n20,0.25,\n",
            "grad_norm,lr,loss,step\n2,1e-3,0.5,10\n,1e-3,0.25,20",
            "\"gnorm\",\"a, \"\"note\"\"\",\"loss\",\"iter\"\r\n\"2\",\"x,y\",\"0.5\",\"10\"\r\n,,0.25,20\r\n",
            "Train/Loss; step ; Total Norm\n 0.5 ;10; 2\n0.25;20;\n",
            "iteration\ttrain_loss\tgradient_norm\n10\t0.5\t2\n20\t0.25\t\n",
            "# step,loss,grad_norm\n10,0.5,2\n\n20,0.25,None\n",
            "step,epoch,loss,train_loss,grad_norm\n10,0,0.5,9,2\n20,0,0.25,9,\n",
        ] {
            assert_eq!(rows_of(log, None), expected, "{log:?}");
        }
    }

    #[test]
    fn any_subset() {
        let only_weights = Row {
            place: 1,
            step: 1.0,
            loss: None,
            grad_norm: None,
            weight_norm: Some(3.0),
        };
        assert_eq!(rows_of("param_norm\n3\n", None), Ok(vec![only_weights]));
        assert_eq!(rows_of("gnorm\n3\n", None), Ok(rows(&[[1.0, NAN, 3.0]])));
        assert_eq!(
            rows_of("epoch,loss\n0,3\n", None),
            Ok(rows(&[[0.0, 3.0, NAN]]))
        );
    }

    /// Not so many that they must be read: what is not finite is data.
    #[test]
    fn nan_and_infinities_are_data() {
        let log = rows_of("loss,grad_norm\nnan,inf\n-inf,NaN\n", None).unwrap();
        assert!(log[0].loss.unwrap().is_nan());
        assert_eq!(
            (log[0].grad_norm, log[1].loss),
            (Some(f64::INFINITY), Some(f64::NEG_INFINITY))
        );
        assert!(log[1].grad_norm.unwrap().is_nan());
    }

    #[test]
    fn without_a_header_the_names_are_asked_for() {
        let log = "1,0.5\n2,0.25\n";
        let why = rows_of(log, None).unwrap_err();
        assert!(
            why.starts_with("line 1: expected a header with columns named loss, "),
            "{why}"
        );
        assert!(
            why.ends_with("found numbers; where there is no header, --columns tells the names"),
            "{why}"
        );
        let expected = Ok(rows(&[[1.0, 0.5, NAN], [2.0, 0.25, NAN]]));
        assert_eq!(rows_of(log, Some("step,loss")), expected);
        assert_eq!(
            rows_of("t;x;ce\n1;a;0.5\n2;b;0.25", Some("step,,loss")),
            expected
        );
        let why = rows_of(log, Some("step,loss,gnorm")).unwrap_err();
        assert_eq!(why, "line 1: expected 3 columns, found 2");
        let why = rows_of(log, Some("step,lr")).unwrap_err();
        assert!(
            why.ends_with("if there is one, found \"step\", \"lr\""),
            "{why}"
        );
    }

    #[test]
    fn a_header_must_name_something() {
        let why = rows_of("\n\nt,lr\n1,2\n", None).unwrap_err();
        assert!(
            why.starts_with("line 3: expected columns named loss, "),
            "{why}"
        );
        assert!(why.ends_with("found \"t\", \"lr\""), "{why}");
        let why = rows_of("step,loss,Loss\n1,2,3\n", None).unwrap_err();
        assert_eq!(
            why,
            "line 1: expected one column for the loss, found two that are called \"Loss\""
        );
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let bad = |rows: &str| rows_of(format!("step,loss\n{rows}"), None).unwrap_err();
        assert_eq!(
            bad("1,2\n2,2.x\n"),
            "line 3: expected a number for the loss, found \"2.x\""
        );
        assert_eq!(
            bad("1,2\n2,\"0,5\""),
            "line 3: expected a number for the loss, found \"0,5\""
        );
        assert_eq!(
            bad("one,2\n"),
            "line 2: expected a number for the step, found \"one\""
        );
        assert_eq!(bad("1,2\n2\n"), "line 3: expected 2 columns, found 1");
        assert_eq!(bad("1,2\n2,3,4"), "line 3: expected 2 columns, found 3");
        assert_eq!(
            bad("1,2\r\n2,3\r\n\r\n\r\n3,x\r\n"),
            "line 6: expected a number for the loss, found \"x\""
        );
        assert_eq!(
            bad("\n1,2\n\n  \n2,x\n3,4\n"),
            "line 6: expected a number for the loss, found \"x\""
        );
        assert_eq!(
            bad("1,\"2\n\"\n2,x"),
            "line 4: expected a number for the loss, found \"x\""
        );
        let open = "line 4: expected a number for the loss, found \"3\\n4,5\"";
        assert_eq!(bad("1,2\n2,3\n3,\"3\n4,5\n"), open);
        assert_eq!(bad("1,2\n2,3\n3,\"3\n4,5"), open);
        let why = rows_of(b"step,loss\n1,\xff\n", None).unwrap_err();
        assert_eq!(
            why,
            "line 2: expected a number for the loss, found \"\u{fffd}\""
        );
    }

    #[test]
    fn a_header_may_come_once_more() {
        let expected = Ok(rows(&[[1.0, 0.5, NAN], [1.0, 0.25, NAN]]));
        let log = "step,loss\n1,0.5\nstep,loss\n1,0.25\n";
        assert_eq!(rows_of(log, None), expected);
        assert_eq!(rows_of(log, Some("step,loss")), expected);
        let why = rows_of("step,loss\n1,0.5\nloss,step\n0.25,1\n", None).unwrap_err();
        assert_eq!(
            why,
            "line 3: expected a number for the step, found \"loss\""
        );
    }

    /// Of what nobody reads no more is asked than that it is there.
    #[test]
    fn other_columns_may_hold_anything() {
        let log = b"step,note,loss\n1,\xff\xfe,0.5\n2,\"a\nb\",0.25\n";
        assert_eq!(
            rows_of(log, None),
            Ok(rows(&[[1.0, 0.5, NAN], [2.0, 0.25, NAN]]))
        );
    }
}
