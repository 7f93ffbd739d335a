//! What is timed.

/// One thing a training step does with its gradients, or one pass that a limit is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The global norm, read only.
    Measure,
    /// A global-norm clip under whose threshold the gradients already are.
    Keep,
    /// A global-norm clip that must scale.
    Clip,
    /// Every element clamped to ± a bound that bites.
    Value,
    /// The value of λ·Σ|w|, and its gradient added.
    L1,
    /// The value of λ/2·Σw², and its gradient added.
    L2,
    /// A global-norm clip that must scale, and an SGD update of the weights.
    Sgd,
    /// Read every element (a sum).
    Read,
    /// Read and write every element (a scale).
    Rewrite,
    /// A plain f32 sum of squares in 64 lanes.
    SumOfSquares,
    /// As `Measure`, of as many bytes of another type.
    MeasureOf(Other),
    /// As `Clip`, of as many bytes of another type.
    ClipOf(Other),
}

/// Elements that are not plain `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    F64,
    /// Values whose squares overflow.
    HugeF64,
    F16,
    Bf16,
}

impl Other {
    fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::HugeF64 => "huge-f64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::HugeF64 => "f64, all 1e200",
            _ => self.name(),
        }
    }
}

/// What peers run on the nets, in the order of the table.
pub(crate) const WORKS: [Work; 7] = [
    Work::Measure,
    Work::Keep,
    Work::Clip,
    Work::Value,
    Work::L1,
    Work::L2,
    Work::Sgd,
];

/// The passes over plain buffers.
pub(crate) const PASSES: [Work; 3] = [Work::Read, Work::Rewrite, Work::SumOfSquares];

/// What ours runs on plain buffers.
pub(crate) const TYPES: [Work; 10] = [
    Work::Measure,
    Work::MeasureOf(Other::F64),
    Work::MeasureOf(Other::HugeF64),
    Work::MeasureOf(Other::F16),
    Work::MeasureOf(Other::Bf16),
    Work::Clip,
    Work::ClipOf(Other::F64),
    Work::ClipOf(Other::HugeF64),
    Work::ClipOf(Other::F16),
    Work::ClipOf(Other::Bf16),
];

/// λ of the penalties.
pub(crate) const LAMBDA: f64 = 1e-4;
/// Small, so that thousands of steps leave the weights where they were.
pub(crate) const RATE: f64 = 1e-7;

impl Work {
    /// The name in the protocol.
    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::MeasureOf(other) => return format!("measure-{}", other.name()),
            Self::ClipOf(other) => return format!("clip-{}", other.name()),
            Self::Measure => "measure",
            Self::Keep => "keep",
            Self::Clip => "clip",
            Self::Value => "value",
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Sgd => "sgd",
            Self::Read => "read",
            Self::Rewrite => "rewrite",
            Self::SumOfSquares => "sumsq",
        };
        name.to_owned()
    }

    /// The name in the table.
    pub(crate) fn title(self) -> String {
        let title = match self {
            Self::MeasureOf(other) => return format!("measure {}", other.title()),
            Self::ClipOf(other) => return format!("clip {}, needed", other.title()),
            Self::Measure => "measure",
            Self::Keep => "clip, not needed",
            Self::Clip => "clip, needed",
            Self::Value => "value clip",
            Self::L1 => "L1 value + gradient",
            Self::L2 => "L2 value + gradient",
            Self::Sgd => "clip + SGD",
            Self::Read => "read",
            Self::Rewrite => "read-modify-write",
            Self::SumOfSquares => "f32 sum of squares",
        };
        title.to_owned()
    }

    /// The same of plain `f32`.
    pub(crate) fn of_f32(self) -> Self {
        match self {
            Self::MeasureOf(_) => Self::Measure,
            Self::ClipOf(_) => Self::Clip,
            _ => self,
        }
    }

    /// The other direction of [`Work::name`].
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        WORKS
            .into_iter()
            .chain(PASSES)
            .chain(TYPES)
            .find(|work| work.name() == name)
    }

    /// The time of the reads and rewrites of one set of tensors that this cannot do without, from that of each.
    pub(crate) fn limit(self, read: f64, rewrite: f64) -> f64 {
        match self {
            Self::Value | Self::Rewrite => rewrite,
            // The gradients once to measure and once more to scale; or the weights, and the gradients to add to.
            Self::Clip | Self::ClipOf(_) | Self::L1 | Self::L2 => read + rewrite,
            // The gradients once to measure and once to subtract from the weights.
            Self::Sgd => 2.0 * read + rewrite,
            _ => read,
        }
    }

    /// Whether two peers' values of this work are the same quantity on the same data.
    pub(crate) fn is_comparable(self) -> bool {
        matches!(self, Self::Measure | Self::L1 | Self::L2)
    }

    /// The bound of the first repetition; `norm` is that of the gradients as loaded.
    pub(crate) fn first_bound(self, norm: f64) -> f64 {
        match self {
            Self::Clip | Self::ClipOf(_) | Self::Sgd => 0.9 * norm,
            Self::Value => 0.9,
            _ => 1e30,
        }
    }

    /// The bound of the repetition after one at `bound`: it falls, so that clipping is needed every time
    /// without restoring the gradients in between.
    pub(crate) fn next_bound(self, bound: f64) -> f64 {
        match self {
            Self::Clip | Self::Sgd | Self::Value => 0.999 * bound,
            // More than a unit in the last place of a bf16, so that every element moves.
            Self::ClipOf(_) => 0.99 * bound,
            _ => bound,
        }
    }
}
