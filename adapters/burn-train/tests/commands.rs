//! The commands of the README in a short form, and what they print.

use std::fs;

#[path = "../../asked.rs"]
#[expect(
    dead_code,
    reason = "shared with the other adapters, whose READMEs have loops"
)]
mod asked;

#[cfg(target_os = "linux")]
use asked::is_heard_by_nobody;
use asked::{cells, folder, printed, refused};

/// Where the batches have no broken reading, the guard changes nothing but by its bound.
#[test]
fn supervised_trains_by_burns_trainer() {
    let out = folder("supervised");
    let short = ["--epochs=2", "--batches=3", "--out", out.to_str().unwrap()];
    let text = printed(
        "supervised",
        &[&short[..], &["--broken=0", "--max-norm=1e9"]].concat(),
    );
    let [without, with] = ["without guard", "with guard"].map(|run| cells(&text, run));
    assert_eq!(without[1..], with[1..], "{text}");
    assert_eq!(with[7..], ["0.0", "0.00", "the last epoch"], "{text}");
    assert!(
        with[1..7]
            .iter()
            .all(|cell| cell.parse::<f64>().unwrap() > 0.0),
        "{text}"
    );
    assert!(out.join("with-guard/checkpoint/scheduler-2.bpk").exists());
    assert!(
        out.join("with-guard/train/epoch-2/Gradient_Norm.log")
            .exists()
    );

    // Where every one is broken, the model is as it was, and the guard says stop at the eleventh.
    let text = printed(
        "supervised",
        &[&["--batches=20"], &short[2..], &["--broken=1"]].concat(),
    );
    let with = cells(&text, "with guard");
    assert_eq!(with[8], "100.00", "{text}");
    assert!(
        with[9].starts_with("step 11: ") && with[9].contains("stop"),
        "{text}"
    );
    assert!(
        with[4].parse::<f64>().unwrap().is_nan() && with[1] == "NaN",
        "{text}"
    );

    for option in [
        "--rate=1.5",
        "--rate=0",
        "--max-norm=nan",
        "--epochs=0",
        "--batches=0",
    ] {
        refused("supervised", &[option]);
    }
    let file = out.join("file");
    fs::write(&file, "").unwrap();
    let said = refused(
        "supervised",
        &["--epochs=1", "--out", file.to_str().unwrap()],
    );
    assert!(said.starts_with("error: cannot write to"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_closed_pipe_is_quiet_and_a_full_disk_a_sentence() {
    let out = folder("speaking");
    let options = ["--epochs=1", "--batches=1", "--out", out.to_str().unwrap()];
    is_heard_by_nobody("supervised", &options);
}
