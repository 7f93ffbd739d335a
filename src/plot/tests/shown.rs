//! What a picture says of a log.

use super::*;
use crate::Error;
use crate::plot::{Chart, page};

/// The texts of a document, in their order.
fn texts(svg: &str) -> Vec<&str> {
    let texts = svg.split("<text ").skip(1);
    texts
        .map(|text| text.lines().nth(1).unwrap_or_default())
        .collect()
}

/// The points of each path of a colour, in pixels.
fn paths(svg: &str, colour: &str) -> Vec<Vec<(f64, f64)>> {
    let paths = svg.split("<polyline").skip(1);
    let paths = paths.filter_map(|path| path.split("/>").next());
    let mine = paths.filter(|path| path.contains(colour));
    mine.map(|path| {
        let (_, points) = path.split_once("points=\"").unwrap();
        let points = points.split('"').next().unwrap().split_whitespace();
        points
            .map(|point| {
                let (x, y) = point.split_once(',').unwrap();
                (
                    x.parse::<f64>().unwrap() / 2.0,
                    y.parse::<f64>().unwrap() / 2.0,
                )
            })
            .collect()
    })
    .collect()
}

const BLUE: &str = "stroke=\"#0072B2\" stroke-width=\"3\"";

#[test]
fn a_curve_has_a_point_for_each_step() {
    let svg = norms(&of_norms(healthy(150))).to_svg();
    let paths = paths(&svg, BLUE);
    assert_eq!(paths.iter().map(Vec::len).collect::<Vec<_>>(), [150]);
    assert!(paths[0].is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn one_step_among_twenty_thousand_is_seen() {
    let mut values = healthy(20_000);
    let quiet = norms(&of_norms(values.clone())).to_svg();
    values[12_345] = 5e4;
    let svg = norms(&of_norms(values)).to_svg();
    let points = |svg: &str| paths(svg, BLUE).concat();
    let top = |points: &[(f64, f64)]| {
        points
            .iter()
            .copied()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap()
    };
    let all = points(&svg);
    let spike = top(&all);
    // Alone there, and far above all others.
    let far = all.iter().filter(|point| point.1 < spike.1 + 80.0).count();
    assert_eq!(far, 1);
    let (first, last) = (all[0].0, all[all.len() - 1].0);
    let expected = first + 12_345.0 / 19_999.0 * (last - first);
    assert!((spike.0 - expected).abs() <= 1.0, "{spike:?}, {expected}");
    assert!(all.len() < 3000 && points(&quiet).len() < 3000);
    assert!(texts(&svg).contains(&"10⁴"));
}

#[test]
fn what_is_not_finite_is_told() {
    let mut values = healthy(100);
    values[40..50].fill(f64::NAN);
    values[70] = f64::INFINITY;
    let log = of_norms(values);
    let svg = norms(&log).to_svg();
    let texts = texts(&svg);
    for words in [
        "NaN: 10 of 100",
        "skipped: 11",
        "1 of 100 values is off the scale: inf",
    ] {
        assert!(texts.contains(&words), "{words}: {texts:?}");
    }
    // A gap for what is NaN, and one way to the edge and back.
    assert_eq!(
        paths(&svg, BLUE).iter().map(Vec::len).collect::<Vec<_>>(),
        [40, 21, 30]
    );
    assert!(!svg.contains("=\"NaN") && !svg.contains("inf,"));
}

#[test]
fn pictures_of_nothing_say_so() {
    let told = |norms: &[f64], words: &str| {
        let svg = super::norms(&of_norms(norms.to_vec())).to_svg();
        assert!(texts(&svg).contains(&words), "{words}: {:?}", texts(&svg));
    };
    told(&[], "nothing was recorded");
    told(&[f64::NAN; 3], "no number among 3 values: all are NaN");
    told(&[0.0; 5], "no number above 0 among 5 values");
    told(
        &[f64::INFINITY, f64::NAN],
        "no finite number among 2 values: 1 NaN, 1 infinite",
    );
    assert!(
        report(&Log::default())
            .to_svg()
            .contains("Nothing was recorded.")
    );
    assert!(
        weights(&Log::default())
            .to_svg()
            .contains("No parameters were given")
    );
    // One value is a mark of its own.
    let one = norms(&of_norms([0.7])).to_svg();
    assert!(one.contains("<circle") && paths(&one, BLUE).is_empty());
}

#[test]
fn events_are_told_from_where_to_where() {
    let log = with_event(of_norms(healthy(250)), "norm threshold", 30, 55);
    let log = with_event(
        with_event(log, "norm threshold", 100, 100),
        "plateau",
        180,
        250,
    );
    let svg = report(&log).to_svg();
    let texts = texts(&svg);
    for words in [
        "Steps 30 to 55: the norm",
        "Step 100: the norm",
        "From step 180 on: the norm",
    ] {
        assert!(
            texts.iter().any(|text| text.starts_with(words)),
            "{words}: {texts:?}"
        );
    }
    for detector in ["norm threshold", "plateau"] {
        assert_eq!(texts.iter().filter(|text| **text == detector).count(), 1);
    }
    // The bar of the first event: 25 of 249 steps long.
    let frame = paths(&svg, BLUE).concat();
    let width = frame[249].0 - frame[0].0;
    let bars = svg
        .split("<rect")
        .filter(|rect| rect.contains("fill=\"#D098B9\""));
    let number = |rect: &str, name: &str| -> f64 {
        let (_, rest) = rect.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse::<f64>().unwrap() / 2.0
    };
    let bars: Vec<_> = bars.map(|rect| number(rect, "width")).collect();
    assert_eq!(bars.len(), 3);
    assert!(
        (bars[0] - 2.0 - 25.0 / 249.0 * width).abs() <= 1.0,
        "{bars:?} of {width}"
    );
}

#[test]
fn a_rollback_is_a_path_that_begins_anew() {
    let mut log = of_norms(healthy(60));
    log.rows.extend(of_norms(healthy(80)).rows.split_off(30));
    let lengths: Vec<_> = paths(&norms(&log).to_svg(), BLUE)
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(lengths, [60, 50]);
}

#[test]
fn a_loss_that_falls_far_is_told_by_its_logarithm() {
    let mut log = of_norms(healthy(50));
    assert!(texts(&report(&log).to_svg()).contains(&"as given"));
    for row in &mut log.rows {
        row.loss = Some(10_f64.powi(-(row.step as i32) / 10));
    }
    assert!(texts(&report(&log).to_svg()).contains(&"as given (log scale)"));
    let told = report(&log).loss("mean error, K").to_svg();
    assert!(texts(&told).contains(&"mean error, K (log scale)"));
    log.rows.iter_mut().for_each(|row| row.loss = None);
    assert!(!texts(&report(&log).to_svg()).contains(&"Loss"));
}

#[test]
fn a_log_of_losses_alone_has_no_chart_of_norms() {
    let mut log = of_norms(vec![f64::NAN; 20]);
    assert!(texts(&report(&log).to_svg()).contains(&"Norm of the gradients"));
    log.rows
        .iter_mut()
        .for_each(|row| row.verdict = crate::Verdict::Apply);
    let svg = report(&log).to_svg();
    assert!(!texts(&svg).contains(&"Norm of the gradients"));
    assert!(
        texts(&svg)
            .join(" ")
            .contains("No norm of the gradients is a number.")
    );
}

#[test]
fn of_many_tensors_those_that_change_most_have_names() {
    let names: Vec<String> = (0..30).map(|i| format!("layers.{i}.weight")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let svg = weights(&with_tensors(of_norms(healthy(100)), &names)).to_svg();
    let texts = texts(&svg);
    // The slopes rise with the number of the tensor.
    for i in 22..30 {
        let name = format!("layers.{i}.weight");
        assert_eq!(
            texts.iter().filter(|text| **text == name).count(),
            2,
            "{texts:?}"
        );
    }
    assert!(texts.contains(&"grey: 22 tensors whose norms changed less"));
    assert!(!texts.contains(&"layers.3.weight"));
}

#[test]
fn weights_that_are_always_zero_are_named_and_not_drawn() {
    let mut log = with_tensors(of_norms(healthy(50)), &NAMES);
    for row in &mut log.rows {
        row.tensors[2].weight_norm = Some(0.0);
        row.tensors[2].update_ratio = Some(f64::NAN);
    }
    let svg = weights(&log).to_svg();
    let texts = texts(&svg);
    assert!(texts.contains(&"always 0: cell.bias") && !texts.contains(&"cell.bias"));
    assert!(!svg.contains("NaN") && !svg.contains("off the scale"));
}

#[test]
fn of_several_curves_the_one_with_values_off_the_scale_is_named() {
    let mut log = with_tensors(of_norms(healthy(50)), &NAMES);
    log.rows[0].tensors[2].weight_norm = Some(0.0);
    log.rows[9].tensors[1].weight_norm = Some(f64::NAN);
    let svg = weights(&log).to_svg();
    let texts = texts(&svg);
    for words in [
        "1 of 50 values is off the scale: 0 (cell.bias)",
        "NaN (cell.w_rec): 1…",
    ] {
        assert!(texts.contains(&words), "{words}: {texts:?}");
    }
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    for (name, log) in logs() {
        assert_eq!(
            report(&log).to_svg(),
            report(&log.clone()).to_svg(),
            "{name}"
        );
        assert!(
            report(&log).to_svg().len() < 250_000,
            "{name}: {}",
            report(&log).to_svg().len()
        );
    }
}

#[test]
fn documents_are_well_formed() {
    for (name, log) in logs() {
        let svg = report(&log).title("<&>").to_svg();
        let mut open: Vec<&str> = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("a tag ends");
            assert!(
                !text.contains('&')
                    || text.contains("&amp;")
                    || text.contains("&lt;")
                    || text.contains("&gt;")
                    || text.contains("&apos;")
                    || text.contains("&quot;"),
                "{name}: {text}"
            );
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{name}: {text:?}"
            );
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => (),
                None => open.push(tag.split(' ').next().unwrap_or_default()),
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let refused = norms(&Log::default())
        .svg("/nowhere/at/all.svg")
        .unwrap_err();
    assert!(matches!(refused, Error::Picture { .. }));
    assert!(
        refused.to_string().starts_with(
            "picture /nowhere/at/all.svg: expected a file that can be written, found "
        )
    );
}

#[test]
fn places_of_ones_own_charts_may_be_anything() {
    let points = [
        (f64::NAN, 1.0),
        (1.0, 2.0),
        (f64::INFINITY, 3.0),
        (2.0, 5.0),
        (f64::NEG_INFINITY, 9.0),
    ];
    for chart in [Chart::new("linear"), Chart::new("log").log_x().log_y()] {
        let svg = page("")
            .chart(
                chart
                    .line("", points)
                    .spans("span", [(f64::NAN, 1.0), (1.0, f64::INFINITY)]),
            )
            .to_svg();
        assert!(!svg.contains("=\"NaN") && !svg.contains("=\"inf"));
    }
}

#[cfg(feature = "png")]
#[test]
fn a_png_has_two_pixels_for_one_and_says_the_same_each_time() {
    let log = with_event(with_tensors(of_norms(lost(400)), &NAMES), "spike", 20, 30);
    let picture = report(&log).threshold(1.0);
    let bytes = picture.to_png().unwrap();
    assert_eq!(bytes, picture.to_png().unwrap());
    let scene = picture.laid().scene();
    let number = |at: usize| {
        bytes[at..at + 4]
            .iter()
            .fold(0, |n, &byte| 256 * n + u32::from(byte))
    };
    assert_eq!(
        (&bytes[..8], &bytes[12..16]),
        (&b"\x89PNG\r\n\x1a\n"[..], &b"IHDR"[..])
    );
    assert_eq!(
        (number(16), f64::from(number(20))),
        (1600, 2.0 * scene.height)
    );

    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    // Letters, curves and the strip of what is NaN are there, and most of it is paper.
    let count = |rgb: [u8; 3]| pixels.chunks(3).filter(|pixel| **pixel == rgb).count();
    let counts = [[40, 44, 52], [0, 114, 178], [213, 94, 0]].map(count);
    assert!(counts.iter().all(|&count| count > 500), "{counts:?}");
    assert!(2 * count([255, 255, 255]) > pixels.len() / 3);
}

#[cfg(feature = "ndarray")]
mod flow {
    use super::*;
    use crate::plot::flow;
    use crate::recurrent::{At, Profile};

    fn profile(norms: &[f64]) -> Profile {
        let mut profile = Profile::of("h");
        for (t, norm) in norms.iter().enumerate() {
            profile.record(At::time(t), &[("h", [*norm])]).unwrap();
        }
        profile
    }

    /// The rectangles of a document: their colours, and where they are, in pixels.
    fn cells(svg: &str) -> Vec<(String, [f64; 4])> {
        let of = |rect: &str, name: &str| -> String {
            let (_, rest) = rect.split_once(&format!(" {name}=\"")).unwrap();
            rest.split('"').next().unwrap().into()
        };
        let number = |rect: &str, name| of(rect, name).parse::<f64>().unwrap() / 2.0;
        let rects = svg.split("<rect").skip(1);
        rects
            .map(|rect| {
                let place = ["x", "y", "width", "height"].map(|name| number(rect, name));
                (of(rect, "fill"), place)
            })
            .collect()
    }

    #[test]
    fn each_norm_has_its_place_and_like_ones_are_one() {
        // Powers of ten from the first time step at the lower edge to the last at the upper one, twice alike.
        let fading = profile(&[1e-9, 1e-6, 1e-3, 1.0]);
        let even = profile(&[1.0; 4]);
        let svg = flow([(1, &fading), (2, &fading), (3, &even)]).to_svg();
        let cells = cells(&svg);
        // Four for the first two steps and one for the last; the others are the scale's.
        let map = cells.iter().filter(|(_, place)| place[2] > 15.0);
        let mut map: Vec<_> = map.collect();
        map.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]).then(b.1[1].total_cmp(&a.1[1])));
        assert_eq!(map.len(), 5, "{map:?}");
        let heights: Vec<_> = map.iter().map(|(_, place)| place[3].round()).collect();
        assert!(
            heights[..4]
                .iter()
                .all(|height| (55.0..=56.0).contains(height)),
            "{heights:?}"
        );
        assert!((220.0..=221.0).contains(&heights[4]));
        assert!((map[0].1[2] - 2.0 * map[4].1[2]).abs() <= 1.0, "{map:?}");
        // From dark to bright, and what is 1 looks the same everywhere.
        assert_eq!(
            (map[0].0.as_str(), map[3].0.as_str()),
            ("#440A5C", "#EDE629")
        );
        assert_eq!(map[3].0, map[4].0);
        assert!(
            texts(&svg)
                .contains(&"colour: ‖∂L/∂h‖ (L2, log scale) arriving at time step t; upwards: t")
        );
    }

    #[test]
    fn what_has_no_logarithm_is_named_where_it_is_found() {
        let names = |norms: &[f64]| -> Vec<String> {
            let svg = flow([(1, &profile(norms))]).to_svg();
            let texts = texts(&svg).into_iter();
            texts
                .filter(|text| ["inf", "NaN"].contains(text))
                .map(str::to_owned)
                .collect()
        };
        assert!(names(&[1.0, 2.0]).is_empty());
        assert_eq!(names(&[1.0, f64::INFINITY]), ["inf"]);
        assert_eq!(names(&[f64::NAN, f64::INFINITY]), ["inf", "NaN"]);
    }

    #[test]
    fn one_bad_number_among_thousands_is_seen() {
        let mut norms = vec![1.0; 5000];
        let profiles: Vec<Profile> = (0..1000)
            .map(|i| {
                norms[4321] = if i == 777 { f64::NAN } else { 1.0 };
                profile(&norms)
            })
            .collect();
        let svg = flow((1..).zip(&profiles)).to_svg();
        assert!(texts(&svg).contains(&"NaN"));
        let nan = cells(&svg)
            .into_iter()
            .filter(|(fill, _)| fill == "#FFFFFF");
        // One in the map and one beside the scale.
        assert_eq!(nan.count(), 2);
        assert!(svg.len() < 20_000, "{}", svg.len());
    }

    #[test]
    fn layers_and_directions_have_maps_of_their_own() {
        let mut two = Profile::new();
        for layer in 0..2 {
            for reverse in [false, true] {
                let mut at = At::time(0);
                (at.layer, at.reverse) = (layer, reverse);
                two.record(at, &[1.0]).unwrap();
            }
        }
        let svg = flow([(1, &two)]).to_svg();
        let headings: Vec<_> = texts(&svg)
            .into_iter()
            .filter(|text| text.starts_with("Gradient flow"))
            .collect();
        assert_eq!(headings.len(), 4);
        assert!(headings.contains(&"Gradient flow, layer 1, backward in time"));
    }
}
