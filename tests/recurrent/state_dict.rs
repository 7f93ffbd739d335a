//! Weights in files: names, shapes and types, numbers that survive, and what is refused.
#![cfg(feature = "safetensors")]

use ndarray::{Array1, Array2, array};
use steadygrad::Error;
use steadygrad::recurrent::{Activation, Lstm, ReadOut, Rnn, StateDict};

use crate::common::{lstm, uniform};

const FILE: &[u8] = include_bytes!("../oracle/weights.safetensors");

fn file() -> StateDict<'static> {
    StateDict::from_safetensors(FILE).unwrap()
}

/// A file of one header and its data.
fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn says(error: &Error, words: &[&str]) {
    assert!(matches!(error, Error::Weights { .. }), "{error:?}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{error} does not say {word}"
        );
    }
}

#[test]
fn every_number_survives_bit_for_bit() {
    let awkward = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE / 4.0,
        -1.0 / 3.0,
        f64::MAX,
        f64::NEG_INFINITY,
        5e-324,
        f64::NAN,
    ];
    let mut saved = Lstm::new(
        Array2::from_shape_fn((8, 1), |(k, _)| awkward[k]),
        Array2::from_shape_fn((8, 2), |(k, j)| awkward[(k + j) % 8]),
        Array1::from_vec(awkward.to_vec()),
    )
    .unwrap();
    // In memory the other way round, which is no business of the file's.
    saved.w_rec = saved
        .w_rec
        .t()
        .as_standard_layout()
        .into_owned()
        .reversed_axes();
    let mut dict = StateDict::default();
    dict.insert("a.", &saved).unwrap();
    let bytes = dict.to_safetensors().unwrap();
    let mut loaded = Lstm::builder(1, 2).build(&mut || 0.5).unwrap();
    StateDict::from_safetensors(&bytes)
        .unwrap()
        .load("a.", &mut loaded)
        .unwrap();
    let bits = |cell: &Lstm<f64>| -> Vec<u64> {
        let numbers = cell.w_in.iter().chain(&cell.w_rec).chain(&cell.bias);
        numbers.map(|x| x.to_bits()).collect()
    };
    assert_eq!(bits(&saved), bits(&loaded));

    let single = lstm::<f32>(3, 5);
    let mut dict = StateDict::default();
    dict.insert("", &single).unwrap();
    let bytes = dict.to_safetensors().unwrap();
    let mut loaded = Lstm::<f32>::builder(3, 5).build(&mut || 0.5).unwrap();
    StateDict::from_safetensors(&bytes)
        .unwrap()
        .load("", &mut loaded)
        .unwrap();
    assert_eq!(single, loaded);
    // Four bytes a number, two of the eight rows of biases being zeros.
    let numbers = 20 * 3 + 20 * 5 + 20 + 20;
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(bytes.len(), 8 + header + 4 * numbers);
}

#[test]
fn narrower_types_are_read_as_they_are() {
    let mut exact = Lstm::<f64>::builder(2, 3).build(&mut || 0.5).unwrap();
    file().load("lstm.", &mut exact).unwrap();
    for (prefix, unit) in [("f32.", 24), ("f16.", 11), ("bf16.", 8)] {
        let mut wide = Lstm::<f64>::builder(2, 3).build(&mut || 0.5).unwrap();
        file().load(prefix, &mut wide).unwrap();
        let half_unit = 0.5_f64.powi(unit);
        for (found, expected) in wide.w_in.iter().zip(&exact.w_in) {
            let apart = (found - expected).abs();
            assert!(
                apart <= half_unit * expected.abs(),
                "{prefix} {found} {expected}"
            );
            let steps = found / (expected.abs().log2().floor().exp2() * 2.0 * half_unit);
            assert_eq!(steps, steps.round(), "{prefix} {found}");
        }
        // What fits into 24 bits is the same in an f32.
        let mut narrow = Lstm::<f32>::builder(2, 3).build(&mut || 0.5).unwrap();
        file().load(prefix, &mut narrow).unwrap();
        assert_eq!(narrow.w_rec.mapv(f64::from), wide.w_rec);
    }
}

#[test]
fn a_wider_number_is_rounded_once_and_never_to_infinity() {
    let mut dict = StateDict::default();
    dict.insert("", &ReadOut::new(array![[0.1_f64]], array![1e300]).unwrap())
        .unwrap();
    let mut small = ReadOut::<f32>::builder(1, 1).build(&mut || 0.5).unwrap();
    let before = small.clone();
    let error = dict.load("", &mut small).unwrap_err();
    says(&error, &["\"bias\"", "f32", "1e300"]);
    assert_eq!(small, before);
    let mut dict = StateDict::default();
    dict.insert(
        "",
        &ReadOut::new(array![[0.1_f64]], array![f64::INFINITY]).unwrap(),
    )
    .unwrap();
    dict.load("", &mut small).unwrap();
    assert_eq!(
        small,
        ReadOut::new(array![[0.1_f32]], array![f32::INFINITY]).unwrap()
    );
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_changed() {
    let file = file();
    let mut cell = lstm::<f64>(2, 3);
    let before = cell.clone();
    let mut refuses = |prefix: &str, words: &[&str]| {
        says(&file.load(prefix, &mut cell).unwrap_err(), words);
        assert_eq!(cell, before);
    };
    refuses(
        "encoder.",
        &[
            "\"encoder.weight_ih_l0\"",
            "[12, 2]",
            "none among \"bf16.bias_hh_l0\"",
            "more",
        ],
    );
    refuses("lstm", &["\"lstmweight_ih_l0\"", "none"]);
    refuses(
        "gru.",
        &[
            "\"gru.weight_ih_l0\"",
            "expected shape [12, 2], found [9, 2]",
        ],
    );
    refuses(
        "deep.lstm.",
        &[
            "\"deep.lstm.bias_hh_l0_reverse\"",
            "found one of shape [12]",
        ],
    );
    let mut larger = lstm::<f64>(2, 4);
    says(
        &file.load("lstm.", &mut larger).unwrap_err(),
        &["expected shape [16, 2], found [12, 2]"],
    );

    // Only what lies behind the prefix is left over.
    let mut head = ReadOut::<f64>::builder(2, 3).build(&mut || 0.5).unwrap();
    file.load("fc.", &mut head).unwrap();
    let mut bare = ReadOut::<f64>::builder(2, 3)
        .without_bias()
        .build(&mut || 0.5)
        .unwrap();
    says(
        &file.load("fc.", &mut bare).unwrap_err(),
        &["\"fc.bias\"", "none of that name"],
    );
    says(
        &file.load("", &mut head).unwrap_err(),
        &["\"weight\"", "none"],
    );
}

#[test]
fn numbers_that_are_no_weights_are_refused() {
    let header = r#"{"weight":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}}"#;
    let file = raw(header, &[0; 4]);
    let dict = StateDict::from_safetensors(&file).unwrap();
    let mut head = ReadOut::<f32>::builder(1, 1)
        .without_bias()
        .build(&mut || 0.5)
        .unwrap();
    says(
        &dict.load("", &mut head).unwrap_err(),
        &["\"weight\"", "F16", "I32"],
    );
    says(
        &dict.tensor::<f32>("weight").unwrap_err(),
        &["\"weight\"", "I32"],
    );
    says(
        &dict.tensor::<f32>("bias").unwrap_err(),
        &["\"bias\"", "none among \"weight\""],
    );
}

#[test]
fn a_sum_of_biases_that_no_number_holds_is_refused() {
    let names = ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"];
    let tensors = names.iter().enumerate().map(|(k, name)| {
        let shape = if name.starts_with('b') {
            "[1]"
        } else {
            "[1,1]"
        };
        let (start, end) = (4 * k, 4 * k + 4);
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    });
    let tensors = tensors.collect::<Vec<_>>().join(",");
    let data: Vec<u8> = [f32::MAX; 4].iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = raw(&format!("{{{tensors}}}"), &data);
    let mut rnn = Rnn::<f32>::builder(1, 1)
        .activation(Activation::Tanh)
        .build(&mut uniform(1))
        .unwrap();
    let before = rnn.clone();
    let dict = StateDict::from_safetensors(&file).unwrap();
    says(
        &dict.load("", &mut rnn).unwrap_err(),
        &["\"bias_hh_l0\"", "f32", "3.4028234663852886e38"],
    );
    assert_eq!(rnn, before);
}

#[test]
fn files_that_are_none_are_refused() {
    let tensor = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let gap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
    let huge = (1_u64 << 62).to_string();
    for (why, file) in [
        ("empty", vec![]),
        ("short", vec![1, 2, 3]),
        (
            "a header longer than the file",
            u64::MAX.to_le_bytes().to_vec(),
        ),
        (
            "a header of 100 MB that is not there",
            99_999_999_u64.to_le_bytes().to_vec(),
        ),
        ("not JSON", raw("{", &[])),
        ("not UTF-8", {
            let mut file = 4_u64.to_le_bytes().to_vec();
            file.extend([b'{', 0xff, 0xfe, b'}']);
            file
        }),
        ("truncated", raw(&tensor("[2]", "[0,8]"), &[0; 7])),
        ("too long", raw(&tensor("[2]", "[0,8]"), &[0; 9])),
        ("out of range", raw(&tensor("[2]", "[8,16]"), &[0; 8])),
        ("backwards", raw(&tensor("[2]", "[8,0]"), &[0; 8])),
        ("of another size", raw(&tensor("[3]", "[0,8]"), &[0; 8])),
        (
            "overflowing",
            raw(&tensor(&format!("[{huge},{huge}]"), "[0,8]"), &[0; 8]),
        ),
        (
            "overflowing in bytes",
            raw(&tensor(&format!("[{huge}]"), "[0,8]"), &[0; 8]),
        ),
        ("negative", raw(&tensor("[-1]", "[0,8]"), &[0; 8])),
        ("overlapping", raw(overlap, &[0; 12])),
        ("with a gap", raw(gap, &[0; 12])),
        ("deep", raw(&"[".repeat(100_000), &[])),
    ] {
        match StateDict::from_safetensors(&file) {
            Ok(_) => panic!("{why}: accepted"),
            Err(error) => says(&error, &["file: expected safetensors, found"]),
        }
    }
}

#[test]
fn shapes_that_no_array_has_are_refused() {
    // Nothing in it, and yet more axes' worth of elements than there are addresses.
    let header = r#"{"a":{"dtype":"F32","shape":[9223372036854775807,2,0],"data_offsets":[0,0]}}"#;
    let file = raw(header, &[]);
    if let Ok(dict) = StateDict::from_safetensors(&file) {
        says(&dict.tensor::<f32>("a").unwrap_err(), &["\"a\"", "shape"]);
    }
}

#[test]
fn names_are_taken_once() {
    let mut dict = StateDict::default();
    dict.insert("a.", &lstm::<f64>(2, 3)).unwrap();
    let error = dict.insert("a.", &lstm::<f64>(2, 3)).unwrap_err();
    says(&error, &["\"a.weight_ih_l0\"", "a name of its own"]);
    assert_eq!(dict.names().count(), 4);
}
