//! The containers.

use std::collections::BTreeMap;

use steadygrad::{
    Ask, Edit, Result, Stats, Tell, Tensor, TensorMut, TensorRef, TensorSet, TensorSetMut, Visitor,
    VisitorMut, tensor_set,
};

use crate::container::Len::{Any, Just};
use crate::container::{Container, Len, Number, Numbers, borrowed, owned, read_only};

const ONE: &[(&str, Len)] = &[("", Any)];
const LIST: &[(&str, Len)] = &[("0", Any), ("1", Just(0)), ("2", Just(1)), ("3", Any)];
const NAMED: &[(&str, Len)] = &[("w", Any), ("b", Just(3)), ("empty", Just(0))];

#[rustfmt::skip]
pub(crate) fn all<E: Number>() -> Vec<Container<E>> {
    let mut all = vec![
        // One tensor.
        borrowed("slice", ONE, |t, f| f(&mut &mut t[0][..])),
        owned("Vec", ONE, first, |v| vec![v]),
        owned("array", &[("", Just(24))], |t| array(&t[0]), |a| vec![a.to_vec()]),
        owned("Some", ONE, |t| Some(first(t)), |v| v.into_iter().collect()),
        owned("None", &[("", Just(0))], |_| None::<Vec<E>>, |_| vec![vec![]]),
        owned("Box<Vec>", ONE, |t| Box::new(first(t)), |v| vec![*v]),
        owned("Box<[E]>", ONE, |t| first(t).into_boxed_slice(), |v| vec![v.into()]),
        owned("Box<Box<Some>>", ONE, |t| Box::new(Box::new(Some(first(t)))), |v| v.into_iter().collect()),
        borrowed("&mut Vec", ONE, |t, f| f(&mut &mut t[0])),
        borrowed("Some(&mut [E])", ONE, |t, f| f(&mut Some(&mut t[0][..]))),
        borrowed("&mut dyn TensorMut", ONE, |t, f| f(&mut dynamic(&mut t[0]))),
        borrowed("&mut dyn TensorSetMut", ONE, |t, f| f(&mut (&mut t[0] as &mut dyn TensorSetMut))),
        borrowed("Box<dyn TensorMut>", ONE, |t, f| f(&mut boxed(&mut t[0]))),
        borrowed("Box<dyn TensorSetMut>", ONE, |t, f| f(&mut (Box::new(&mut t[0]) as Box<dyn TensorSetMut + '_>))),
        borrowed("a tensor of one's own", ONE, |t, f| f(&mut (&mut Least(&mut t[0]) as &mut dyn TensorMut))),
        // Lists.
        owned("list of Vecs", LIST, |t| t, |t| t),
        borrowed("slice of Vecs", LIST, |t, f| f(&mut &mut *t)),
        borrowed("list of slices", LIST, |t, f| f(&mut each(t, |v| &mut v[..]))),
        borrowed("list of options", LIST, |t, f| f(&mut each(t, |v| (!v.is_empty()).then_some(v)))),
        borrowed("list of dyn TensorMut", LIST, |t, f| f(&mut each(t, dynamic))),
        borrowed("list of boxes", LIST, |t, f| f(&mut each(t, boxed))),
        borrowed("list of own tensors", LIST, |t, f| f(&mut each(&mut each(t, Least), |own| own as &mut dyn TensorMut))),
        owned("array of arrays", &[("0", Just(24)), ("1", Just(24))], |t| [array(&t[0]), array(&t[1])], |t| t.map(|a| a.to_vec()).to_vec()),
        owned("list of lists", &[("0.0", Any), ("0.1", Just(2)), ("1.0", Just(5))], |t| vec![t[..2].to_vec(), t[2..].to_vec()], |t| t.concat()),
        owned("empty list", &[], |t| t, |t| t),
        // Names.
        owned("named list", NAMED, named, nameless),
        borrowed("named list of dyn TensorMut", NAMED, |t, f| f(&mut names().zip(each(t, dynamic)).collect::<Vec<_>>())),
        borrowed("named list of boxes", NAMED, |t, f| f(&mut names().zip(each(t, boxed)).collect::<Vec<_>>())),
        owned("boxed named list", NAMED, |t| Box::new(named(t)), |t| nameless(*t)),
        owned("map", &[("a", Any), ("b", Just(1)), ("c", Any)], map, |t| t.into_values().collect()),
        owned("map of lists", &[("a.0", Any), ("b.0", Just(1))], |t| map(t.into_iter().map(|v| vec![v])), |t| t.into_values().flatten().collect()),
        owned("map without names", ONE, |t| BTreeMap::from([("", first(t))]), |t| t.into_values().collect()),
        // Structs.
        owned("struct", LAYER, |t| layer(&t), |l| vec![l.w, l.b.to_vec()]),
        owned("struct of structs", MODEL, |t| model(&t), of_model),
        owned("boxed struct", MODEL, |t| Box::new(model(&t)), |m| of_model(*m)),
        borrowed("a set of one's own", LIST, |t, f| f(&mut OwnSet(t))),
        // What can only be measured.
        read_only("&Vec", ONE, |t, f| f(&&t[0])),
        read_only("&[E]", ONE, |t, f| f(&&t[0][..])),
        read_only("SliceRef", ONE, |t, f| f(&TensorRef::Slice(E::slice_ref(&t[0])))),
        read_only("TensorRef", ONE, |t, f| f(&TensorRef::Other(&t[0]))),
        read_only("&dyn Tensor", ONE, |t, f| f(&(&t[0] as &dyn Tensor))),
        read_only("named list of TensorRef", NAMED, |t, f| f(&names().zip(t.iter().map(|v| TensorRef::Other(v))).collect::<Vec<_>>())),
    ];
    #[cfg(feature = "ndarray")]
    all.extend(crate::layouts::all());
    all
}

fn first<E>(numbers: Numbers<E>) -> Vec<E> {
    numbers.into_iter().next().unwrap()
}

fn array<E: Number>(xs: &[E]) -> [E; 24] {
    xs.try_into().unwrap()
}

fn each<'a, A, B>(list: &'a mut [A], of: impl FnMut(&'a mut A) -> B) -> Vec<B> {
    list.iter_mut().map(of).collect()
}

fn dynamic<E: Number>(v: &mut Vec<E>) -> &mut dyn TensorMut {
    v
}

fn boxed<'a, E: Number>(v: &'a mut Vec<E>) -> Box<dyn TensorMut + 'a> {
    Box::new(v)
}

fn names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|&(name, _)| name)
}

fn named<E>(numbers: Numbers<E>) -> Vec<(&'static str, Vec<E>)> {
    names().zip(numbers).collect()
}

fn nameless<E>(list: Vec<(&'static str, Vec<E>)>) -> Numbers<E> {
    list.into_iter().map(|(_, v)| v).collect()
}

fn map<T>(values: impl IntoIterator<Item = T>) -> BTreeMap<String, T> {
    let names = ["a", "b", "c"].map(String::from);
    names.into_iter().zip(values).collect()
}

const LAYER: &[(&str, Len)] = &[("w", Any), ("b", Just(24))];

struct Layer<E> {
    w: Vec<E>,
    b: [E; 24],
}

tensor_set!(impl[E: Number] Layer<E> { w, b });

fn layer<E: Number>(t: &[Vec<E>]) -> Layer<E> {
    Layer {
        w: t[0].clone(),
        b: array(&t[1]),
    }
}

const MODEL: &[(&str, Len)] = &[
    ("layers.0.w", Any),
    ("layers.0.b", Just(24)),
    ("layers.1.w", Any),
    ("layers.1.b", Just(24)),
    ("head", Just(0)),
    ("tail", Just(7)),
];

struct Model<E> {
    layers: Vec<Layer<E>>,
    head: Option<Vec<E>>,
    tail: Box<dyn TailOf<E>>,
}

trait TailOf<E>: TensorSetMut {
    fn numbers(&self) -> Vec<E>;
}

impl<E: Number> TailOf<E> for Vec<E> {
    fn numbers(&self) -> Vec<E> {
        self.clone()
    }
}

tensor_set!(impl[E: Number] Model<E> { layers, head, tail });

fn model<E: Number>(t: &[Vec<E>]) -> Model<E> {
    Model {
        layers: vec![layer(&t[..2]), layer(&t[2..4])],
        head: None,
        tail: Box::new(t[5].clone()),
    }
}

fn of_model<E: Number>(model: Model<E>) -> Numbers<E> {
    let layers = model.layers.into_iter().flat_map(|l| [l.w, l.b.to_vec()]);
    layers.chain([vec![], model.tail.numbers()]).collect()
}

/// A tensor with the methods that must be there, and no other.
struct Least<'a, E>(&'a mut Vec<E>);

impl<E: Number> Tensor for Least<'_, E> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.0.stats(ask)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.0.read(start, out)
    }
}

impl<E: Number> TensorMut for Least<'_, E> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.0.edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.0.write(start, values)
    }
}

/// A set with the methods that must be there, and no other.
struct OwnSet<'a, E>(&'a mut [Vec<E>]);

impl<E: Number> TensorSet for OwnSet<'_, E> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        for (i, v) in self.0.iter().enumerate() {
            f(LIST[i].0, TensorRef::Other(v))?;
        }
        Ok(())
    }
}

impl<E: Number> TensorSetMut for OwnSet<'_, E> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        for (i, v) in self.0.iter_mut().enumerate() {
            f(LIST[i].0, v)?;
        }
        Ok(())
    }
}
