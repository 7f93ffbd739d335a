//! How much of a gradient arrives at each time step, as training goes on.

use super::heat::Heat;
use super::picture::{Contents, Picture, Shown};
use super::sheet::{Block, Sheet};
use crate::recurrent::Profile;

/// How a gradient flows back through time: see [`flow`].
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub(super) maps: Vec<Heat>,
}

/// A map of log₁₀ ‖∂`L/∂s_t`‖ over time and training step, one for each layer and direction, of profiles with the
/// training steps at which they were taken, rising. A column reaches from its step to the next.
///
/// Where the map is even, an error is felt as far back as at the end; where it darkens towards 0, it vanishes on its way,
/// and where it brightens, it explodes. What is 0, infinite or NaN has a look of its own, and the scale names it. More
/// steps than there are pixels are drawn as the largest of their neighbours.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::plot;
/// use steadygrad::recurrent::{Activation, Layer, Profile, Rnn};
///
/// let mut profiles = vec![];
/// for step in 1..=20 {
///     let w_rec = array![[0.5 + 0.05 * step as f64]];   // a unit that learns to remember
///     let rnn = Rnn::new(array![[1.0]], w_rec, array![0.0], Activation::Identity)?;
///     let pass = rnn.forward(Array3::ones((30, 1, 1)).view(), &rnn.zero_state(1))?;
///     let mut d_outputs = Array3::zeros((30, 1, 1));
///     d_outputs[[29, 0, 0]] = 1.0;
///     let mut profile = Profile::new();
///     rnn.backward_with(&pass, d_outputs.view(), &mut profile.hook(&rnn))?;
///     profiles.push((step, profile));
/// }
/// let picture = plot::flow(profiles.iter().map(|(step, profile)| (*step, profile)));
/// assert!(picture.to_svg().contains("training step"));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063.
pub fn flow<'p>(profiles: impl IntoIterator<Item = (u64, &'p Profile)>) -> Picture<Flow> {
    let profiles: Vec<_> = profiles.into_iter().collect();
    Picture::of(Flow::of(&profiles))
}

impl Flow {
    pub(super) fn of(profiles: &[(u64, &Profile)]) -> Self {
        let layers = |profile: &Profile| profile.layers();
        let layers = profiles
            .iter()
            .map(|(_, profile)| layers(profile))
            .max()
            .unwrap_or(0);
        let has_reverse = profiles
            .iter()
            .any(|(_, profile)| (0..layers).any(|layer| !profile.norms(layer, true).is_empty()));
        let mut maps = Vec::new();
        for layer in 0..layers.max(1) {
            for reverse in [false, true] {
                if reverse && !has_reverse {
                    continue;
                }
                let column = |&(step, profile): &(u64, &Profile)| {
                    (step as f64, profile.norms(layer, reverse).to_vec())
                };
                let part = profiles.first().and_then(|(_, profile)| profile.part());
                let part = part.unwrap_or("s");
                maps.push(Heat {
                    heading: match (layers, has_reverse) {
                        (..2, false) => "Gradient flow".into(),
                        (_, false) => format!("Gradient flow, layer {layer}"),
                        _ => format!(
                            "Gradient flow, layer {layer}, {}",
                            if reverse {
                                "backward in time"
                            } else {
                                "forward in time"
                            }
                        ),
                    },
                    meaning: format!(
                        "colour: ‖∂L/∂{part}‖ (L2, log scale) arriving at time step t; upwards: t"
                    ),
                    columns: profiles.iter().map(column).collect(),
                });
            }
        }
        Self { maps }
    }
}

impl Shown for Flow {
    fn sheet(&self) -> Contents {
        Contents(Sheet {
            title: "How the gradient flows back through time".into(),
            blocks: self.maps.iter().cloned().map(Block::Heat).collect(),
        })
    }
}
