//! Pictures explain what they show, and can be read at the width of a page.

use std::path::Path;

use crate::{folder, number_after, printed};

/// The four pictures after twenty steps, of which run (a) takes a few before it diverges.
fn pictures() -> [String; 4] {
    static DRAWN: std::sync::OnceLock<[String; 4]> = std::sync::OnceLock::new();
    let draw = || {
        let out = folder("pictures");
        printed(&["--steps", "20", "--out", out.to_str().unwrap()]);
        let names = ["report.svg", "gradients.svg", "flow.svg", "predictions.svg"];
        names.map(|name| {
            let path: &Path = &out.join(name);
            std::fs::read_to_string(path).unwrap()
        })
    };
    DRAWN.get_or_init(draw).clone()
}

/// The words of a picture, one a line.
fn words(picture: &str) -> Vec<&str> {
    let texts = picture.split("<text ").skip(1);
    texts.map(|text| text.lines().nth(1).unwrap()).collect()
}

/// Every value of an attribute.
fn attributes(picture: &str, name: &str) -> Vec<f64> {
    let opening = format!(" {name}=\"");
    let number = |value: &str| value.split('"').next().unwrap().parse().unwrap();
    picture.split(&opening).skip(1).map(number).collect()
}

#[test]
fn letters_are_legible_at_the_width_of_a_page() {
    for picture in pictures() {
        // Of the sheet: on the page, and in the units of what stands on it.
        assert!(
            picture.starts_with("<svg width=\"800\" ") && picture.contains("viewBox=\"0 0 1600 ")
        );
        let sizes = attributes(&picture, "font-size");
        assert!(sizes.iter().all(|&size| size / 2.0 >= 12.0), "{sizes:?}");
    }
}

#[test]
fn the_report_has_all_of_the_run_on_one_page() {
    let [picture, ..] = pictures();
    let words = words(&picture);
    for heading in [
        "Sunspots, run (c) RNN, norm clip",
        "Loss",
        "mean squared error, in variances of the training months",
        "Norm of the gradients",
        "threshold 0.25",
        "Norms of the parameters",
        "Size of the updates",
        "Gradient flow",
        "Events",
    ] {
        assert!(words.contains(&heading), "{heading}: {words:?}");
    }
    // The net has four parameters, and each of them two curves with a name. A bias of the read-out there is not.
    assert!(!words.iter().any(|word| word.contains("read_out.bias")));
    for name in ["cell.w_in", "cell.w_rec", "cell.bias", "read_out.w"] {
        assert_eq!(
            words.iter().filter(|word| **word == name).count(),
            2,
            "{name}"
        );
    }
    assert!(
        words
            .iter()
            .any(|word| word.starts_with("Steps 1 to 20; verdicts: apply 20."))
    );
}

#[test]
fn each_run_has_its_norms_its_bounds_and_its_alarms() {
    let [_, picture, ..] = pictures();
    let words = words(&picture);
    let count = |what: &str| words.iter().filter(|word| word.contains(what)).count();
    assert_eq!(count("L2 norm of all gradients (log scale)"), 6);
    assert_eq!(count("alarm above 10"), 6);
    assert_eq!(count("threshold 0.25"), 3);
    assert_eq!(
        (count("diverged at step"), count("stopped at step")),
        (1, 1)
    );
    // All RNNs but none of the LSTMs.
    assert_eq!(
        words
            .iter()
            .filter(|word| **word == "norm threshold")
            .count(),
        5
    );
}

/// Run (a) predicts hundreds of sunspots too many or too few for most months: of these only the way to the edge and
/// back is drawn, and a note says how many there are.
#[test]
fn a_prediction_off_the_scale_is_not_drawn_along_the_frame() {
    let [.., picture] = pictures();
    let charts: Vec<&str> = picture.split("RMSE").skip(1).collect();
    let points = |chart: &str| -> usize {
        let lines = chart.split("<polyline").skip(1);
        let lines = lines.filter_map(|line| line.split("/>").next());
        let mine = lines.filter(|line| line.contains("stroke=\"#0072B2\" stroke-width=\"3\""));
        mine.map(|line| line.matches(',').count()).sum()
    };
    let note = words(charts[0])
        .into_iter()
        .find(|word| word.contains("off the scale"));
    let off = number_after(note.expect("no note"), "") as usize;
    // Most of what the diverged run predicts is off the scale, 595 of 626: drawn are the others, each with at most the two
    // places where a line comes from the edge and goes to it. Along the frame there would be more than 626.
    let (drawn, on) = (points(charts[0]), 626 - off);
    assert!(
        off > 450 && drawn <= 3 * on,
        "{off} off the scale, {drawn} points"
    );
    assert!(points(charts[1]) >= 600);
}

#[test]
fn the_flow_says_what_it_shows_and_why_it_fades() {
    let [_, _, picture, _] = pictures();
    let words = words(&picture);
    assert!(words.contains(&"‖∂L/∂h‖ and ‖∂L/∂c‖ at month t (L2, log scale)"));
    assert!(words.contains(&"(f) LSTM, ∂c, c alone"));
    let text = words.join(" ");
    // What a month leaves of the error: more than the forget gates alone would, which begin at σ(1).
    let all = number_after(&text, "multiplies ∂L/∂c by");
    let alone = number_after(&text, "Through c alone it is");
    let gate = 1.0 / (1.0 + f64::exp(-1.0));
    assert!((alone - gate).abs() < 0.05, "{alone}");
    assert!(alone < all && all < 0.9, "{all}");
    assert!(text.contains("forget gate begins with, σ(1) = 0.73"));
    assert!(text.contains("what flows through h, from gate to gate, adds the rest"));
}
