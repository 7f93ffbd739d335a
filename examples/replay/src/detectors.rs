//! Detectors by name, with settings.

use std::fmt::Write as _;

use steadygrad::detect::{
    Detector, NonFinite, NormThreshold, PersistentNorm, Plateau, Spike, WeightGrowth,
};

type Made = steadygrad::Result<Box<dyn Detector>>;

/// A detector that can be asked for.
struct Kind {
    name: &'static str,
    /// What its settings are called, and what they are where they are not given.
    settings: &'static [(&'static str, f64)],
    /// Of as many settings.
    make: fn(&[f64]) -> Made,
}

fn made(detector: steadygrad::Result<impl Detector + 'static>) -> Made {
    Ok(Box::new(detector?))
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "non-finite",
        settings: &[],
        make: |_| made(Ok(NonFinite)),
    },
    Kind {
        name: "loss-spike",
        settings: &SPIKE,
        make: |s| made(spike(Spike::of_loss(), s)),
    },
    Kind {
        name: "norm-spike",
        settings: &SPIKE,
        make: |s| made(spike(Spike::of_norm(), s)),
    },
    Kind {
        name: "norm-threshold",
        settings: &[("MAX", 100.0)],
        make: |s| made(NormThreshold::new(s[0])),
    },
    Kind {
        name: "persistent-norm",
        settings: &[("MAX", 1.0), ("STEPS", 10.0)],
        make: |s| made(PersistentNorm::new(s[0], steps(s[1]))),
    },
    Kind {
        name: "weight-growth",
        settings: &[("RATIO", 10.0)],
        make: |s| made(WeightGrowth::new(s[0])),
    },
    Kind {
        name: "plateau",
        settings: &[("DELTA", 0.0), ("STEPS", 50.0)],
        make: |s| made(Plateau::new(s[0], steps(s[1]))),
    },
];

const SPIKE: [(&str, f64); 2] = [("DEVIATIONS", 6.0), ("WINDOW", 64.0)];

fn spike(spike: Spike, settings: &[f64]) -> steadygrad::Result<Spike> {
    let window = steps(settings[1]) as usize;
    spike.deviations(settings[0])?.window(window)
}

/// A number of steps; 0, which no detector takes, of what is none.
fn steps(setting: f64) -> u64 {
    if setting.fract() == 0.0 {
        setting as u64
    } else {
        0
    }
}

/// All of them, with what they are set to where nothing is said.
pub(crate) fn all() -> Vec<Box<dyn Detector>> {
    let made = KINDS.iter().map(|kind| {
        let settings: Vec<f64> = kind.settings.iter().map(|setting| setting.1).collect();
        (kind.make)(&settings)
    });
    // A test makes them all.
    made.filter_map(Result::ok).collect()
}

/// Those of a list: names, each with its settings behind `=`, between which stands `:`.
pub(crate) fn listed(list: &str) -> Result<Vec<Box<dyn Detector>>, String> {
    let mut detectors: Vec<Box<dyn Detector>> = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (name, given) = item.split_once('=').unwrap_or((item, ""));
        let kind = KINDS.iter().find(|kind| kind.name == name);
        let kind = kind.ok_or_else(|| {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            format!(
                "expected detectors out of {}, found '{name}'",
                names.join(", ")
            )
        })?;
        let mut settings: Vec<f64> = kind.settings.iter().map(|setting| setting.1).collect();
        for (place, text) in given.split(':').filter(|text| !text.is_empty()).enumerate() {
            let number = text.parse().ok();
            let (setting, number) = settings
                .get_mut(place)
                .zip(number)
                .ok_or_else(|| format!("expected {}, found '{item}'", shape(kind)))?;
            *setting = number;
        }
        let detector = (kind.make)(&settings).map_err(|why| format!("{item}: {why}"))?;
        if detectors
            .iter()
            .any(|other| other.name() == detector.name())
        {
            return Err(format!("expected each detector once, found '{name}' twice"));
        }
        detectors.push(detector);
    }
    Ok(detectors)
}

/// How one is asked for, with what it is set to where nothing is said.
fn shape(kind: &Kind) -> String {
    let mut text = kind.name.to_owned();
    for (place, (setting, _)) in kind.settings.iter().enumerate() {
        let _ = write!(text, "{}{setting}", if place == 0 { '=' } else { ':' });
    }
    text
}

/// A line for each, for the help.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for kind in &KINDS {
        let _ = write!(text, "  {:34}", shape(kind));
        let settings: Vec<_> = kind
            .settings
            .iter()
            .map(|setting| setting.1.to_string())
            .collect();
        let _ = match settings.len() {
            0 => writeln!(text, "no settings"),
            _ => writeln!(text, "[default: {}]", settings.join(":")),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_the_name_it_has() {
        let all = all();
        assert_eq!(all.len(), KINDS.len());
        for (kind, detector) in KINDS.iter().zip(&all) {
            assert_eq!(detector.name().replace(' ', "-"), kind.name);
        }
    }

    #[test]
    fn settings_are_taken_in_their_order() {
        let detectors = listed("plateau=0.5:7, persistent-norm=2,norm-threshold").unwrap();
        let found: Vec<_> = detectors
            .iter()
            .map(|detector| format!("{detector:?}"))
            .collect();
        assert!(found[0].contains("delta: 0.5, steps: 7,"), "{found:?}");
        assert!(found[1].contains("max: 2.0, steps: 10,"), "{found:?}");
        assert!(found[2].contains("max: 100.0,"), "{found:?}");
    }

    #[test]
    fn what_is_not_known_or_not_taken_is_told() {
        for (list, why) in [
            ("spikes", "expected detectors out of non-finite, "),
            ("", "expected detectors out of "),
            (
                "norm-threshold=x",
                "expected norm-threshold=MAX, found 'norm-threshold=x'",
            ),
            (
                "norm-threshold=1:2",
                "expected norm-threshold=MAX, found 'norm-threshold=1:2'",
            ),
            ("plateau=0:1.5", "plateau=0:1.5: "),
            (
                "weight-growth=0.5",
                "weight-growth=0.5: ratio of weight growth",
            ),
            (
                "plateau,plateau=1",
                "expected each detector once, found 'plateau' twice",
            ),
        ] {
            let said = listed(list).unwrap_err();
            assert!(said.starts_with(why), "{list}: {said}");
        }
    }
}
