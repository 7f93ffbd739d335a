//! What a log may tell of a step, and what frameworks call it.

use std::fmt;

/// What a log may tell of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Step,
    Loss,
    GradNorm,
    WeightNorm,
}

use Quantity::{GradNorm, Loss, Step, WeightNorm};

/// In the order in which a row has them.
pub(crate) const QUANTITIES: [Quantity; 4] = [Step, Loss, GradNorm, WeightNorm];

impl Quantity {
    pub(crate) fn name(self) -> &'static str {
        self.usual_names()[0]
    }

    /// Where a log has several, the earlier one counts.
    fn usual_names(self) -> &'static [&'static str] {
        match self {
            Step => &[
                "step",
                "steps",
                "global_step",
                "iteration",
                "iterations",
                "iter",
                "iters",
                "iter_num",
                "update",
                "updates",
                "num_updates",
                "epoch",
            ],
            Loss => &[
                "loss",
                "total_loss",
                "lm_loss",
                "loss_train",
                "mean_loss",
                "avg_loss",
                "loss_step",
                "loss_epoch",
            ],
            GradNorm => &[
                "grad_norm",
                "gradient_norm",
                "global_grad_norm",
                "total_grad_norm",
                "total_norm",
                "global_norm",
                "gnorm",
                "grads_norm",
                "gradients_norm",
                "grad_2.0_norm_total",
            ],
            WeightNorm => &[
                "weight_norm",
                "param_norm",
                "weights_norm",
                "params_norm",
                "parameter_norm",
                "parameters_norm",
            ],
        }
    }
}

/// The quantity of this name and how usual the name is for it, the least first. Case, signs and a `train` in front make
/// no difference, but that a name without it goes before: of `loss` and `train/loss` the first is the loss.
pub(crate) fn find(name: &str) -> Option<(Quantity, u16)> {
    let name = Squeezed::of(name)?;
    let usual = |name: &str| {
        QUANTITIES.into_iter().find_map(|quantity| {
            let mut names = quantity.usual_names().iter();
            let rank =
                names.position(|usual| Squeezed::of(usual).is_some_and(|s| s.text() == name))?;
            Some((quantity, rank as u16))
        })
    };
    let in_training = || {
        let prefixes = ["trainer", "training", "train"];
        let rest = prefixes
            .iter()
            .find_map(|prefix| name.text().strip_prefix(prefix))?;
        usual(rest).map(|(quantity, rank)| (quantity, rank + TRAIN))
    };
    usual(name.text()).or_else(in_training)
}

/// How much less usual a name is with `train` in front.
const TRAIN: u16 = 100;

/// How much less usual a name is that stands under one that says nothing, as `loss` in `{"metrics": {"loss": 1}}`.
const UNDER: u16 = 1000;

/// The same of a name that stands under another. What was measured on other data than the training's is not told.
pub(crate) fn find_under(outer: &str, inner: &str) -> Option<(Quantity, u16)> {
    if let Some(found) = find(&format!("{outer}/{inner}")) {
        return Some(found);
    }
    let outer = Squeezed::of(outer)?;
    let of_others = ["eval", "val", "test", "dev", "heldout"];
    if of_others
        .iter()
        .any(|other| outer.text().starts_with(other))
    {
        return None;
    }
    find(inner).map(|(quantity, rank)| (quantity, rank + UNDER))
}

/// What is left of a name without case and signs.
struct Squeezed {
    text: [u8; Self::LONGEST],
    len: usize,
}

impl Squeezed {
    /// No usual name is longer.
    const LONGEST: usize = 32;

    /// Nothing of a name that is too long.
    fn of(name: &str) -> Option<Self> {
        let mut squeezed = Self {
            text: [0; Self::LONGEST],
            len: 0,
        };
        for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
            *squeezed.text.get_mut(squeezed.len)? = byte.to_ascii_lowercase();
            squeezed.len += 1;
        }
        Some(squeezed)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

/// What is expected of a log's names, in a sentence.
pub(crate) struct Expected;

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "columns named loss, grad_norm or weight_norm (or train/loss, gradient_norm, gnorm, param_norm \
             and the like), and step (or iter, global_step, epoch) if there is one",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_frameworks_use() {
        for (quantity, names) in [
            (
                Step,
                &[
                    "step",
                    "Step",
                    "# step",
                    "iter",
                    "iteration",
                    "global_step",
                    "epoch",
                    "_step",
                    "trainer/global_step",
                    "train/global_step",
                    "globalStep",
                    "num_updates",
                ][..],
            ),
            (
                Loss,
                &[
                    "loss",
                    "train_loss",
                    "train/loss",
                    "training_loss",
                    "Training Loss",
                    "trainLoss",
                    "lm loss",
                    "train_loss_step",
                ],
            ),
            (
                GradNorm,
                &[
                    "grad_norm",
                    "gradient_norm",
                    "total_norm",
                    "gnorm",
                    "train/grad_norm",
                    "grad norm",
                    "grad-norm",
                    "gradNorm",
                    "grad_2.0_norm_total",
                    "train_gnorm",
                ],
            ),
            (
                WeightNorm,
                &[
                    "weight_norm",
                    "param_norm",
                    "params norm",
                    "train/param_norm",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(find(name).map(|found| found.0), Some(quantity), "{name}");
            }
        }
        let others = [
            "",
            "lr",
            "learning_rate",
            "eval_loss",
            "eval/loss",
            "val_loss",
            "valid_loss",
            "best_loss",
            "loss_scale",
            "train_runtime",
            "norm",
            "stepwise",
            "grad_norm_clipped",
            "trainable_params",
            "損失",
        ];
        for other in others {
            assert_eq!(find(other), None, "{other}");
        }
        assert_eq!(find(&"loss".repeat(20)), None);
    }

    #[test]
    fn the_plainest_name_comes_first() {
        let rank = |name| find(name).unwrap().1;
        assert!(rank("loss") < rank("train_loss"));
        assert!(rank("train_loss") < rank("train/total_loss"));
        assert!(rank("step") < rank("iter") && rank("trainer/global_step") > rank("epoch"));
    }

    #[test]
    fn names_one_level_down() {
        let found = |outer, inner| find_under(outer, inner).map(|found| found.0);
        assert_eq!(found("train", "loss"), Some(Loss));
        assert_eq!(find_under("train", "loss"), find("train/loss"));
        assert_eq!(found("metrics", "grad_norm"), Some(GradNorm));
        assert_eq!(found("grad", "norm"), Some(GradNorm));
        for other in ["eval", "val", "valid", "validation", "test", "dev"] {
            assert_eq!(found(other, "loss"), None, "{other}");
        }
        assert!(find_under("metrics", "loss").unwrap().1 > find("train/loss").unwrap().1);
    }
}
