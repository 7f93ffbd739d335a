//! What stands where: nothing over anything else, nothing outside of the sheet.

use super::*;
use crate::plot::scene::{Frame, Mark, Point, Scene};
use crate::plot::{Chart, page};

/// Every picture of every log, and charts of one's own.
fn scenes() -> Vec<(String, Scene)> {
    let mut scenes = Vec::new();
    for (name, log) in logs() {
        let title = format!(
            "A title of {name}, which is long enough that it goes on in another line of large letters"
        );
        for (kind, sheet) in [
            ("norms", norms(&log).threshold(1.0).title(title).laid()),
            ("far", norms(&log).threshold(1e9).laid()),
            ("weights", weights(&log).laid()),
            ("report", report(&log).threshold(1.0).laid()),
        ] {
            scenes.push((format!("{name} {kind}"), sheet.scene()));
        }
    }
    let wave = |size: f64| (0..400).map(move |t| (f64::from(t), size * (0.1 * f64::from(t)).sin()));
    let mut own = page("Charts of one's own").columns(2);
    for size in [1.0, 1e-12, 1e300, f64::MAX, 0.0] {
        let chart = Chart::new(
            "A heading that is far too long for a chart that has half of the width of a sheet",
        );
        let chart = chart
            .x("seconds since the beginning of all")
            .y("value")
            .area("truth", wave(size));
        own = own.chart(chart.line(
            "a name that has no room beside so narrow a frame",
            wave(size),
        ));
    }
    for curves in [7, 30] {
        let mut chart = Chart::new("many")
            .log_y()
            .bound("bound", 0.5)
            .bound("other", 0.51);
        for curve in 0..curves {
            chart = chart.line(
                format!("curve {curve}"),
                wave(1.0 + f64::from(curve) / 100.0),
            );
        }
        own = own.chart(chart);
    }
    scenes.push(("page".into(), own.laid().scene()));
    #[cfg(feature = "ndarray")]
    scenes.extend(flows());
    scenes
}

#[cfg(feature = "ndarray")]
fn flows() -> Vec<(String, Scene)> {
    use crate::plot::flow;
    use crate::recurrent::{At, Profile};

    let profile = |norm: &dyn Fn(usize) -> f64, time: usize| {
        let mut profile = Profile::new();
        for t in 0..time {
            profile.record(At::time(t), &[norm(t)]).unwrap();
        }
        profile
    };
    let fades = |by: f64| move |t: usize| by.powi(t as i32);
    let mut all: Vec<(u64, Profile)> = (0..30)
        .map(|i| (10 * i, profile(&fades(0.5 + 0.02 * i as f64), 150)))
        .collect();
    all.push((300, profile(&|_| f64::NAN, 150)));
    all.push((310, profile(&|_| 0.0, 150)));
    all.push((
        320,
        profile(&|t| if t == 7 { f64::INFINITY } else { 1.0 }, 90),
    ));
    let scene = |profiles: &[(u64, Profile)]| {
        flow(profiles.iter().map(|(step, profile)| (*step, profile)))
            .laid()
            .scene()
    };
    vec![
        ("flow of all".into(), scene(&all)),
        ("flow of one".into(), scene(&all[..1])),
        ("flow of none".into(), scene(&[])),
        ("flow of what is no number".into(), scene(&all[30..32])),
    ]
}

fn meets(a: &Frame, b: &Frame) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

/// Whether a straight line comes into a rectangle: the part of it between both pairs of sides is not empty.
fn crosses(room: &Frame, from: Point, to: Point) -> bool {
    let (mut begin, mut end) = (0.0_f64, 1.0_f64);
    for (start, way, low, high) in [
        (from.0, to.0 - from.0, room.left, room.right),
        (from.1, to.1 - from.1, room.top, room.bottom),
    ] {
        if way == 0.0 {
            if start <= low || start >= high {
                return false;
            }
        } else {
            let (one, other) = ((low - start) / way, (high - start) / way);
            begin = begin.max(one.min(other));
            end = end.min(one.max(other));
        }
    }
    begin < end
}

#[test]
fn no_text_leaves_the_sheet_and_none_is_too_small() {
    for (name, scene) in scenes() {
        for label in scene.labels() {
            let room = label.room();
            let is_in = room.left >= 0.0
                && room.right <= scene.width
                && room.top >= 0.0
                && room.bottom <= scene.height;
            assert!(
                is_in,
                "{name}: {label:?} in {} by {}",
                scene.width, scene.height
            );
            assert!(
                label.size >= 12.0 && !label.text.is_empty(),
                "{name}: {label:?}"
            );
        }
        assert_eq!(scene.width, 800.0);
    }
}

#[test]
fn no_text_lies_over_another() {
    for (name, scene) in scenes() {
        let labels: Vec<_> = scene.labels().collect();
        for (i, a) in labels.iter().enumerate() {
            for b in &labels[..i] {
                assert!(!meets(&a.room(), &b.room()), "{name}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn no_curve_runs_through_a_text() {
    for (name, scene) in scenes() {
        for label in scene.labels() {
            let room = label.room();
            for mark in &scene.marks {
                let is_through = match mark {
                    Mark::Line(points, ..) | Mark::Area(points, _) => points
                        .windows(2)
                        .any(|pair| crosses(&room, pair[0], pair[1])),
                    Mark::Rect(frame, _) => meets(&room, frame),
                    Mark::Disc((x, y), radius, _) => {
                        let (left, right) = (x - radius, x + radius);
                        meets(
                            &room,
                            &Frame {
                                left,
                                right,
                                top: y - radius,
                                bottom: y + radius,
                            },
                        )
                    }
                    Mark::Text(_) => false,
                };
                assert!(!is_through, "{name}: {mark:?} through {label:?}");
            }
        }
    }
}

#[test]
fn nothing_is_drawn_outside_of_the_sheet() {
    for (name, scene) in scenes() {
        let is_in =
            |&(x, y): &Point| (0.0..=scene.width).contains(&x) && (0.0..=scene.height).contains(&y);
        for mark in &scene.marks {
            let all_in = match mark {
                Mark::Line(points, ..) | Mark::Area(points, _) => points.iter().all(is_in),
                Mark::Rect(frame, _) => {
                    is_in(&(frame.left, frame.top)) && is_in(&(frame.right, frame.bottom))
                }
                Mark::Disc(at, ..) => is_in(at),
                Mark::Text(_) => true,
            };
            assert!(all_in, "{name}: {mark:?}");
        }
    }
}
