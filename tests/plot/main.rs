//! Pictures, looked at by a program: what stands where, what is not lost, and that the same log gives the same bytes.
#![cfg(feature = "plot")]

mod runs;

use runs::*;
use std::path::PathBuf;
use steadygrad::plot;
use steadygrad::record::Log;

/// Where pictures are left for people to look at.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plot");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn all() {
    let names = ["cell.w_in", "cell.w_rec", "cell.bias", "read_out.weight"];
    let event = |log| {
        with_event(
            with_event(
                with_event(log, "norm threshold", 30, 55),
                "norm threshold",
                100,
                101,
            ),
            "persistent norm",
            180,
            400,
        )
    };
    let logs: Vec<(&str, Log)> = vec![
        (
            "healthy",
            with_tensors(event(of_norms(healthy(250))), &names),
        ),
        ("lost", with_tensors(event(of_norms(lost(400))), &names)),
        ("empty", Log::default()),
        ("one", with_tensors(of_norms([0.7]), &names)),
        ("nan", with_tensors(of_norms([f64::NAN; 40]), &names)),
        (
            "long",
            with_tensors(
                of_norms({
                    let mut n = healthy(20000);
                    n[12345] = 5e4;
                    n
                }),
                &names,
            ),
        ),
    ];
    for (name, log) in &logs {
        for (kind, svg) in [
            ("norms", plot::norms(log).threshold(1.0).to_svg()),
            ("weights", plot::weights(log).to_svg()),
            ("report", plot::report(log).threshold(1.0).to_svg()),
        ] {
            std::fs::write(folder().join(format!("{name}-{kind}.svg")), svg).unwrap();
        }
        #[cfg(feature = "png")]
        plot::report(log)
            .threshold(1.0)
            .png(folder().join(format!("{name}-report.png")))
            .unwrap();
    }
}
