//! The sets of tensors that are measured: true shapes of nets people train, and plain buffers.

/// A list of tensors by their shapes.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    /// The name on the command line and in the protocol.
    pub(crate) name: String,
    /// The name in the table.
    pub(crate) title: &'static str,
    pub(crate) shapes: Vec<Vec<usize>>,
}

impl Set {
    fn new(name: &str, title: &'static str, shapes: Vec<Vec<usize>>) -> Self {
        let name = name.to_owned();
        Self {
            name,
            title,
            shapes,
        }
    }

    /// The number of elements of each tensor.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        self.shapes.iter().map(|shape| shape.iter().product())
    }

    /// The number of elements of all tensors.
    pub(crate) fn elements(&self) -> usize {
        self.lens().sum()
    }

    /// The norm of all gradients as [`fill`] makes them.
    pub(crate) fn norm(&self) -> f64 {
        (self.elements() as f64 / 3.0).sqrt()
    }

    /// `50257x768,768,...`: what a peer is told.
    pub(crate) fn shapes_as_text(&self) -> String {
        let shape = |dims: &Vec<usize>| {
            dims.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("x")
        };
        self.shapes.iter().map(shape).collect::<Vec<_>>().join(",")
    }

    /// The other direction of [`Set::shapes_as_text`].
    pub(crate) fn from_text(name: &str, shapes: &str) -> Option<Self> {
        let shape = |text: &str| text.split('x').map(|dim| dim.parse().ok()).collect();
        Some(Self::new(
            name,
            "",
            shapes.split(',').map(shape).collect::<Option<_>>()?,
        ))
    }
}

/// The nets, which every peer runs.
pub(crate) fn nets() -> Vec<Set> {
    vec![
        Set::new("gpt2", "GPT-2 small: 148 tensors, 124 M", gpt2_small()),
        Set::new("lstm", "small LSTM: 8 tensors, 1.3 M", lstm(256, 288)),
        Set::new("tiny", "tiny LSTM: 8 tensors, 10 k", lstm(16, 26)),
        Set::new("many", "10,000 tensors of 100", vec![vec![100]; 10_000]),
    ]
}

/// Plain buffers, for the machine's limits.
pub(crate) fn buffers() -> Vec<Set> {
    vec![
        Set::new("512MiB", "512 MiB buffer", vec![vec![512 << 18]]),
        Set::new("5MB", "5 MB buffer", vec![vec![1_250_000]]),
        Set::new("256KiB", "256 KiB buffer", vec![vec![256 << 8]]),
    ]
}

/// 148 tensors, 124,439,808 elements.
fn gpt2_small() -> Vec<Vec<usize>> {
    const WIDTH: usize = 768;
    let norm = || [vec![WIDTH], vec![WIDTH]];
    let linear = |rows: usize, columns: usize| [vec![rows, columns], vec![columns]];
    let mut shapes = vec![vec![50_257, WIDTH], vec![1_024, WIDTH]];
    for _ in 0..12 {
        shapes.extend(norm());
        shapes.extend(linear(WIDTH, 3 * WIDTH));
        shapes.extend(linear(WIDTH, WIDTH));
        shapes.extend(norm());
        shapes.extend(linear(WIDTH, 4 * WIDTH));
        shapes.extend(linear(4 * WIDTH, WIDTH));
    }
    shapes.extend(norm());
    shapes
}

/// Two layers: input weights, recurrent weights and two biases each.
fn lstm(inputs: usize, hidden: usize) -> Vec<Vec<usize>> {
    let gates = 4 * hidden;
    let layer = |inputs| {
        [
            vec![gates, inputs],
            vec![gates, hidden],
            vec![gates],
            vec![gates],
        ]
    };
    [layer(inputs), layer(hidden)].concat()
}

/// Tells the values of weights from those of gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Gradient = 0,
    Weight = 1,
}

/// Values of a set's tensor of this index: evenly spread over [-1, 1), the same on every run.
pub(crate) fn fill(values: &mut [f32], role: Role, index: usize) {
    let start = ((2 * index + role as usize) as u32).wrapping_mul(0x9E37_79B9);
    for (i, x) in values.iter_mut().enumerate() {
        let mixed = start.wrapping_add(i as u32).wrapping_mul(0x9E37_79B1);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA77);
        *x = (mixed >> 8) as f32 * (1.0 / (1 << 23) as f32) - 1.0;
    }
}

/// A new buffer, filled.
pub(crate) fn filled(len: usize, role: Role, index: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    fill(&mut values, role, index);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpt2_small_has_its_published_size() {
        let set = &nets()[0];
        assert_eq!((set.shapes.len(), set.elements()), (148, 124_439_808));
    }

    #[test]
    fn the_recurrent_sets_have_the_sizes_the_table_states() {
        let sizes: Vec<_> = nets()
            .iter()
            .map(|set| (set.shapes.len(), set.elements()))
            .collect();
        assert_eq!(
            sizes[1..],
            [(8, 1_294_848), (8, 10_192), (10_000, 1_000_000)]
        );
    }

    #[test]
    fn shapes_survive_the_protocol() {
        for set in nets() {
            let read = Set::from_text(&set.name, &set.shapes_as_text()).expect("a set");
            assert_eq!(read.shapes, set.shapes);
        }
    }

    #[test]
    fn values_fill_the_interval_evenly() {
        let values: Vec<_> = (0..10_000)
            .flat_map(|index| filled(100, Role::Gradient, index))
            .collect();
        let mean_square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e6;
        assert!((mean_square - 1.0 / 3.0).abs() < 2e-3, "{mean_square}");
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
    }
}
