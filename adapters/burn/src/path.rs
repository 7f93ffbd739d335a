//! The names of a module's parameters.

use std::collections::HashSet;

use burn::module::ParamId;

/// Tells the names of a module's parameters while they are visited, and which come again.
#[derive(Debug, Default)]
pub(crate) struct Path {
    name: String,
    /// How long the name was before each part.
    lens: Vec<usize>,
    seen: HashSet<ParamId>,
}

impl Path {
    /// With room for `count` parameters.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            seen: HashSet::with_capacity(count),
            ..Self::default()
        }
    }

    pub(crate) fn enter(&mut self, name: &str) {
        self.lens.push(self.name.len());
        if self.lens.len() > 1 {
            self.name.push('.');
        }
        self.name.push_str(name);
    }

    pub(crate) fn exit(&mut self) {
        self.name.truncate(self.lens.pop().unwrap_or_default());
    }

    /// The name of the parameter that is being visited; `None` if it was visited before.
    pub(crate) fn name(&mut self, id: ParamId) -> Option<&str> {
        self.seen.insert(id).then_some(self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_and_come_once() {
        let mut path = Path::default();
        let ids: [ParamId; 3] = std::array::from_fn(|_| ParamId::new());
        path.enter("encoder");
        path.enter("0");
        assert_eq!(path.name(ids[0]), Some("encoder.0"));
        path.exit();
        assert_eq!(path.name(ids[1]), Some("encoder"));
        path.enter("weight");
        assert_eq!(path.name(ids[2]), Some("encoder.weight"));
        assert_eq!(path.name(ids[0]), None);
        path.exit();
        path.exit();
        path.enter("head");
        assert_eq!(path.name(ParamId::new()), Some("head"));
    }
}
