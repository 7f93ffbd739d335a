//! Logs that are written and read back.

use std::io::{self, Write};

use proptest::prelude::*;
use steadygrad::detect::{NormThreshold, Severity};
use steadygrad::record::{AlarmRow, Log, Phase, Recorder, Row, TensorRow, csv, json};
use steadygrad::{Error, Guard, Step, Verdict};

/// Numbers that are hard to write.
fn number() -> impl Strategy<Value = f64> {
    let special = [
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        f64::MAX,
        5e-324,
    ];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -1e3..1e3,
        prop::sample::select(special.to_vec()),
    ]
}

fn maybe() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(number())
}

/// Names and sentences with all that a form might trip over.
fn text() -> impl Strategy<Value = String> {
    let hard = [
        ',', '"', '\n', '\r', '\\', '{', '}', ':', '/', 'a', 'é', '🌞', '\0', ' ', '#', '\u{feff}',
    ];
    let hard = prop::collection::vec(prop::sample::select(hard.to_vec()), 0..6);
    prop_oneof![
        hard.prop_map(String::from_iter),
        prop::collection::vec(any::<char>(), 0..4).prop_map(String::from_iter),
    ]
}

prop_compose! {
    fn alarm()(
        (detector, what, said) in (text(), text(), text()),
        (value, bound, since) in (number(), number(), any::<u64>()),
        severity in prop::sample::select(&[Severity::Note, Severity::Warning, Severity::Grave][..]),
        phase in prop::sample::select(&[Phase::Began, Phase::GoesOn, Phase::Ended][..]),
    ) -> AlarmRow {
        let mut alarm = AlarmRow::new(detector, what, since);
        (alarm.value, alarm.bound, alarm.severity, alarm.phase) = (value, bound, severity, phase);
        alarm.said = said;
        alarm
    }
}

fn row(tensors: usize) -> impl Strategy<Value = Row> {
    let tensor = (number(), maybe(), maybe()).prop_map(|(grad, weight, ratio)| {
        let mut tensor = TensorRow::new(grad);
        (tensor.weight_norm, tensor.update_ratio) = (weight, ratio);
        tensor
    });
    let verdicts = [
        Verdict::Apply,
        Verdict::Skip,
        Verdict::Rollback,
        Verdict::Stop,
    ];
    (
        any::<u64>(),
        (maybe(), maybe(), maybe()),
        (number(), number(), number()),
        prop_oneof![prop::collection::vec(tensor, tensors), Just(vec![]),],
        prop::collection::vec(alarm(), 0..3),
        prop::sample::select(verdicts.to_vec()),
    )
        .prop_map(|(step, maybes, numbers, tensors, alarms, verdict)| {
            let mut row = Row::new(step);
            (row.loss, row.weight_norm, row.update_norm) = maybes;
            (row.grad_norm, row.clipped_norm, row.factor) = numbers;
            (row.tensors, row.alarms, row.verdict) = (tensors, alarms, verdict);
            row
        })
}

fn log() -> impl Strategy<Value = Log> {
    prop::collection::vec(text(), 0..4).prop_flat_map(|names| {
        let rows = prop::collection::vec(row(names.len()), 0..5);
        rows.prop_map(move |rows| Log::new(names.clone(), rows))
    })
}

/// All there is, with numbers by their bits.
fn bits(log: &Log) -> String {
    let number = |x: f64| format!("{:016x}", x.to_bits());
    let maybe = |x: Option<f64>| x.map(number);
    let row = |row: &Row| {
        let tensor = |t: &TensorRow| {
            (
                number(t.grad_norm),
                maybe(t.weight_norm),
                maybe(t.update_ratio),
            )
        };
        let alarm = |a: &AlarmRow| {
            let words = (a.detector.clone(), a.what.clone(), a.said.clone());
            (
                words,
                number(a.value),
                number(a.bound),
                a.since,
                a.severity,
                a.phase,
            )
        };
        let numbers = [row.grad_norm, row.clipped_norm, row.factor].map(number);
        let maybes = [row.loss, row.weight_norm, row.update_norm].map(maybe);
        let tensors: Vec<_> = row.tensors.iter().map(tensor).collect();
        let alarms: Vec<_> = row.alarms.iter().map(alarm).collect();
        format!(
            "{} {numbers:?} {maybes:?} {tensors:?} {alarms:?} {}",
            row.step, row.verdict
        )
    };
    format!(
        "{:?} {:#?}",
        log.names,
        log.rows.iter().map(row).collect::<Vec<_>>()
    )
}

type Wrote = fn(&mut Vec<u8>, &Log) -> io::Result<()>;
type Read = fn(&[u8]) -> Result<Log, Error>;

/// Every form there is.
const FORMS: [(&str, Wrote, Read); 2] = [
    ("csv", |to, log| csv::write(to, log), |text| csv::read(text)),
    (
        "json",
        |to, log| json::write(to, log),
        |text| json::read(text),
    ),
];

fn written(write: Wrote, log: &Log) -> Vec<u8> {
    let mut file = vec![];
    write(&mut file, log).unwrap();
    file
}

proptest! {
    #[test]
    fn every_bit_comes_back(log in log()) {
        for (form, write, read) in FORMS {
            let file = written(write, &log);
            let back = read(&file);
            let back = back.unwrap_or_else(|error| panic!("{form}: {error}\n{}", String::from_utf8_lossy(&file)));
            prop_assert_eq!(bits(&back), bits(&log), "{}", form);
        }
    }

    /// Wherever a crash cuts it, all whole rows are there, and no other.
    #[test]
    fn what_is_cut_is_readable_up_to_the_last_whole_row(log in log(), at in any::<prop::sample::Index>()) {
        for (form, write, read) in FORMS {
            let file = written(write, &log);
            let at = at.index(file.len() + 1);
            let back = read(&file[..at]);
            let back = back.unwrap_or_else(|error| panic!("{form} at {at}: {error}\n{}", String::from_utf8_lossy(&file)));
            // Every row that ends before the cut, with or without the end of its line.
            let whole = (0..=log.rows.len()).rev().find(|&count| {
                let some = Log::new(log.names.clone(), log.rows[..count].to_vec());
                let end = written(write, &some).len();
                end <= at || (count > 0 && end == at + 1)
            });
            let rows = log.rows[..whole.unwrap_or(0)].to_vec();
            prop_assert_eq!(bits(&Log::new(back.names.clone(), rows)), bits(&back), "{} at {}", form, at);
        }
    }

    #[test]
    fn no_file_makes_it_panic(
        log in log(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        junk in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        for (_, write, read) in FORMS {
            let mut file = written(write, &log);
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] = byte;
            }
            for file in [&file, &junk] {
                if let Err(error) = read(file) {
                    let is_of_a_line = matches!(error, Error::Log { line, .. } if line > 0);
                    prop_assert!(is_of_a_line, "{error}");
                }
            }
        }
    }
}

/// Where it was flushed.
#[derive(Default)]
struct Flushed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Write for Flushed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

#[test]
fn reports_are_written_as_they_come() {
    let mut guard = Guard::new().detect(NormThreshold::new(1.0).unwrap().per_tensor());
    let (mut recorder, mut files) = (Recorder::new(), [Flushed::default(), Flushed::default()]);
    let [csv_file, json_file] = &mut files;
    let (mut as_csv, mut as_json) = (csv::Writer::new(csv_file), json::Writer::new(json_file));
    for step in 0..30 {
        let x = if step % 7 == 3 {
            f64::NAN
        } else {
            f64::from(step) / 10.0
        };
        let mut grads = [("w", [x]), ("b", [0.5])];
        let report = guard.step(
            Step::new(&mut grads)
                .loss(0.1 * x)
                .params(&[("w", [1.0]), ("b", [0.0])]),
        );
        let report = report.unwrap();
        recorder.record(&report);
        as_csv.report(&report).unwrap();
        as_json.report(&report).unwrap();
    }
    drop((as_csv, as_json));
    let log = recorder.log();
    assert_eq!(log.rows.len(), 30);
    for (file, read) in files.iter_mut().zip([FORMS[0].2, FORMS[1].2]) {
        assert_eq!(bits(&read(&file.bytes).unwrap()), bits(&log));
        file.ends.dedup();
        // Whole lines, one for each step.
        assert!(file.ends.iter().all(|&end| file.bytes[end - 1] == b'\n'));
        assert!(file.ends.len() >= 30);
        for (count, &end) in file.ends.iter().rev().take(30).rev().enumerate() {
            assert_eq!(read(&file.bytes[..end]).unwrap().rows.len(), count + 1);
        }
    }
}

#[test]
fn tensors_that_come_late_have_no_place_and_a_longer_row_is_refused() {
    let mut guard = Guard::new();
    let mut file = vec![];
    let mut writer = csv::Writer::new(&mut file);
    writer
        .report(guard.step(&mut Vec::<Vec<f64>>::new()).unwrap().report())
        .unwrap();
    writer
        .report(guard.step(&mut [[1.0], [2.0]]).unwrap().report())
        .unwrap();
    drop(writer);
    let log = csv::read(&file[..]).unwrap();
    assert_eq!(
        (
            log.names.len(),
            log.rows[1].grad_norm,
            log.rows[1].tensors.len()
        ),
        (0, 5_f64.sqrt(), 0)
    );

    let mut row = Row::new(1);
    row.tensors = vec![TensorRow::new(1.0); 2];
    let log = Log::new(vec!["w".into()], vec![row]);
    for (_, write, _) in FORMS {
        let error = write(&mut vec![], &log).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "tensors of a row: expected 1, found 2");
    }
}

#[test]
fn logs_that_follow_each_other_are_one() {
    let log = |names: &[&str], step| {
        let mut row = Row::new(step);
        row.tensors = vec![TensorRow::new(0.5); names.len()];
        (row.grad_norm, row.clipped_norm) = (0.5, 0.5);
        Log::new(names.iter().map(ToString::to_string).collect(), vec![row])
    };
    for (_, write, read) in FORMS {
        let mut file = vec![];
        write(&mut file, &log(&["w"], 1)).unwrap();
        write(&mut file, &log(&["w"], 2)).unwrap();
        assert_eq!(
            read(&file)
                .unwrap()
                .rows
                .iter()
                .map(|row| row.step)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        write(&mut file, &log(&["v"], 3)).unwrap();
        assert!(read(&file).is_err());
    }
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    let header = "step,loss,grad_norm,clipped_norm,factor,weight_norm,update_norm,alarms,verdict\n";
    let wide = "step,loss,grad_norm,clipped_norm,factor,weight_norm,update_norm,grad_norm/w,\
                weight_norm/w,update_ratio/w,alarms,verdict\n";
    let wrong_csv = [
        (
            "time,loss\n",
            "line 1: expected column 1 to be \"step\", found \"time\"",
        ),
        (
            "step,loss",
            "line 1: expected column 3 to be \"grad_norm\", found nothing",
        ),
        (
            "epoch",
            "line 1: expected column 1 to be \"step\", found \"epoch\"",
        ),
        (
            &header.replace("verdict", "verdict,more"),
            "line 1: expected no more columns, found \"more\"",
        ),
        (
            &wide.replace("update_ratio/w", "update_ratio/v"),
            "line 1: expected column 10 to be \"update_ratio/w\", found \"update_ratio/v\"",
        ),
        (
            &[header, "1,,1,1,1,,,,apply\n2,,1,1,1,,,,left\n"].concat(),
            "line 3: expected apply, skip, roll back or stop under verdict, found \"left\"",
        ),
        (
            &[header, "1,,1,1,1,,,apply\n"].concat(),
            "line 2: expected 9 cells, found 8",
        ),
        (
            &[header, "1.5,,1,1,1,,,,apply\n"].concat(),
            "line 2: expected a whole number under step, found \"1.5\"",
        ),
        (
            &[header, "1,?,1,1,1,,,,apply\n"].concat(),
            "line 2: expected a number or nothing under loss, found \"?\"",
        ),
        (
            &[header, "1,,1,1,1,,,alarm,apply\n"].concat(),
            "line 2: expected 8 cells of an alarm, found 1",
        ),
        (
            &[header, "1,,1,1,1,,,\"a,b,note,1,2,3,over,s\",apply\n"].concat(),
            "line 2: expected began, goes on or ended under alarms, phase, found \"over\"",
        ),
        (
            &[wide, "1,,1,1,1,,,,1,,,apply\n"].concat(),
            "line 2: expected a number under grad_norm/w, found \"\"",
        ),
    ];
    for (text, said) in wrong_csv {
        // One that may have been cut is told too if it was no log before.
        let told = csv::read(text.as_bytes()).map_err(|error| error.to_string());
        let expected = match text {
            "step,loss" => Ok(Log::default()),
            _ => Err(format!("log, {said}")),
        };
        assert_eq!(told, expected, "{text}");
    }
    let row = r#"{"step":1,"grad_norm":1.0,"clipped_norm":1.0,"factor":1.0,"verdict":"apply"}"#;
    let wrong_json = [
        (
            row.replace("\"step\":1,", ""),
            "expected the fields of a row, found no step",
        ),
        (
            row.replace("apply", "left"),
            "found \"left\", expected apply, skip, roll back or stop",
        ),
        (
            row.replace("\"factor\":1.0", "\"factor\":\"one\""),
            "invalid value: string \"one\", expected a number, \"NaN\", \"inf\" or \"-inf\"",
        ),
        (
            row.replace("\"step\":1", "\"step\":-1"),
            "invalid value: integer `-1`, expected u64",
        ),
        (
            row.replace('{', "{\"tensors\":[{\"grad_norm\":1}],"),
            "expected 0 tensors, found 1",
        ),
        (
            "true".to_string(),
            "found invalid type: boolean `true`, expected a row at column 4",
        ),
        ("step 1".to_string(), "expected value at column 1"),
    ];
    for (text, said) in wrong_json {
        let text = format!("{row}\n\n{text}\n{row}\n");
        let told = json::read(text.as_bytes()).unwrap_err().to_string();
        assert!(
            told.starts_with("log, line 3: ") && told.contains(said),
            "{told}"
        );
    }
    for (_, _, read) in FORMS {
        assert_eq!(read(b"").unwrap(), Log::default());
    }
}

/// A file that breaks off with an error of its own.
struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn what_the_file_says_is_told() {
    let broken = || io::BufReader::new(Broken);
    for error in [csv::read(broken()), json::read(broken())] {
        let told = error.unwrap_err().to_string();
        assert_eq!(
            told,
            "log, line 1: expected a readable line, found the disk is gone"
        );
    }
}
