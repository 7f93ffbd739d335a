//! What it says of runs.

use serde_json::Value;

use crate::run::number_after;
use crate::{EXPLODED, explode, file, piped, run, said};

/// Each line of what is printed with `--json`.
fn json(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let (out, error, code) = said(run(&[&["--json"], arguments].concat()));
    assert_eq!(error, "");
    (
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        code,
    )
}

/// The loss leaves what it had been at step 589, and is not finite from step 710 on.
#[test]
fn the_step_is_named_at_which_a_run_exploded() {
    let (out, error, code) = said(run(&[EXPLODED]));
    assert_eq!((code, error.as_str()), (Some(1), ""), "{out}");
    let rows = "760 rows, steps 1 to 760: 760 of loss, 760 of grad_norm, 760 of weight_norm\n";
    assert!(out.contains(rows), "{out}");
    assert_eq!(number_after(&out, "diverged, onset at step"), 589.0);
    assert_eq!(number_after(&out, "not finite from step"), 710.0);
    let (lines, code) = json(&[EXPLODED]);
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(code, Some(1));
    assert_eq!(
        (&summary["diverged"], &summary["trouble"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        (&summary["onset"], &summary["not_finite"]["step"]),
        (&589.into(), &710.into())
    );
    assert_eq!(summary["not_finite"]["quantity"], "loss");
}

/// Before it explodes, nobody can know.
#[test]
fn it_is_quiet_about_the_healthy_part() {
    let log = std::fs::read_to_string(EXPLODED).unwrap();
    let healthy: String = log.split_inclusive('\n').take(501).collect();
    let (out, error, code) = said(piped(healthy.as_bytes(), &["-"]));
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("\ndid not diverge\n"), "{out}");
}

/// The program that made the log still makes it, to as many digits as processors agree on.
#[test]
fn the_log_is_what_its_program_prints() {
    let mut printed = Vec::new();
    explode::print(&mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let log = std::fs::read_to_string(EXPLODED).unwrap();
    assert_eq!(printed.lines().count(), log.lines().count());
    assert_eq!(printed.lines().next(), log.lines().next());
    for (printed, kept) in printed.lines().zip(log.lines()).skip(1).take(300) {
        let [printed, kept] =
            [printed, kept].map(|line| line.split(',').map(|x| x.parse::<f64>().unwrap()));
        for (printed, kept) in printed.zip(kept) {
            assert!(
                (printed - kept).abs() <= 1e-4 * kept.abs(),
                "{printed} {kept}"
            );
        }
    }
}

#[test]
fn events_are_told_as_they_begin_and_end() {
    let norm = |i: u32| if (40..43).contains(&i) { 500.0 } else { 0.5 };
    let rows = (1..=100).map(|i| format!("{},{}\n", 10 * i, norm(i)));
    let rows = rows.collect::<Vec<_>>().concat();
    let log = file("events.csv", format!("step,gnorm\n{rows}"));
    let arguments = ["--detectors", "norm-threshold=100", log.to_str().unwrap()];
    let (out, _, code) = said(run(&arguments));
    let expected = "\
step 400: warning: the norm of the gradients is 500.0, above 100.0 (norm threshold)
step 420: over, 3 steps in alarm since step 400 (norm threshold)

100 rows, steps 10 to 1000: 100 of grad_norm
detector             events   first step  steps in alarm
norm threshold            1          400               3
no loss, so nothing tells whether it diverged
";
    assert_eq!((out.as_str(), code), (expected, Some(0)));
    let (lines, _) = json(&arguments);
    let events: Vec<_> = lines
        .iter()
        .filter_map(|line| line["event"].as_str())
        .collect();
    assert_eq!(events, ["begins", "ends"]);
    assert_eq!(
        (&lines[0]["step"], &lines[1]["since"]),
        (&Value::from(400), &Value::from(400))
    );
    assert_eq!(lines[1]["steps_in_alarm"], 3);
    assert_eq!(lines[2]["summary"]["detectors"][0]["first_step"], 400);
    assert_eq!(
        lines[2]["summary"]["values"],
        serde_json::json!({"loss": 0, "grad_norm": 100, "weight_norm": 0})
    );
}

/// Every form of one log gives the same words.
#[test]
fn the_form_of_a_log_makes_no_difference() {
    let log = std::fs::read_to_string(EXPLODED).unwrap();
    let rows = || {
        log.lines()
            .skip(1)
            .map(|line| line.split(',').collect::<Vec<_>>())
    };
    let object = |row: Vec<&str>| {
        let python = |text: &str| text.replace("inf", "Infinity");
        format!(
            "{{\"epoch\": 1.5, \"grad_norm\": {}, \"loss\": {}, \"param_norm\": {}, \"step\": {}}}",
            python(row[2]),
            python(row[1]),
            python(row[3]),
            row[0]
        )
    };
    let objects: Vec<_> = rows().map(object).collect();
    let semicolons =
        rows().map(|row| format!("\"{}\" ; {};x;{};{}\r\n", row[3], row[1], row[0], row[2]));
    let semicolons: String = semicolons.collect();
    let expected = said(run(&[EXPLODED]));
    for other in [
        log.replace(',', "\t"),
        format!("\u{feff}Param Norm;train/loss;lr;global_step;total_norm\r\n{semicolons}"),
        objects.join("\n"),
        format!("[{}]", objects.join(",")),
        format!(
            "{{\n\"best_metric\": null,\n\"log_history\": [\n{}\n],\n\"max_steps\": 760}}\n",
            objects.join(",\n")
        ),
    ] {
        let start: String = other.chars().take(60).collect();
        assert_eq!(said(piped(other.as_bytes(), &["-"])), expected, "{start}");
    }
    let (_, body) = log.split_once('\n').unwrap();
    let columns = ["--columns", "step,loss,grad_norm,weight_norm,", "-"];
    assert_eq!(said(piped(body.as_bytes(), &columns)), expected);
}

#[test]
fn a_loss_that_is_not_finite_is_read_on_from() {
    let log = "loss,grad_norm\n1,1\nnan,inf\n,\n1,\n";
    let (out, _, code) = said(piped(log.as_bytes(), &["-", "--detectors=non-finite"]));
    assert!(
        out.starts_with("step 2: ") && out.contains(": the loss is NaN (non-finite)\n"),
        "{out}"
    );
    assert!(
        out.contains("\n3 rows, steps 1 to 4: 3 of loss, 2 of grad_norm\n"),
        "{out}"
    );
    assert!(
        out.contains("\nnot finite from step 2 on: the loss is NaN\n"),
        "{out}"
    );
    assert!(out.ends_with("\ndid not diverge\n"), "{out}");
    assert!(code < Some(2));
}
