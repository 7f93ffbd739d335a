//! Prints the public interface of a crate, an item a line, from the JSON that rustdoc writes of it.

use std::env;
use std::error::Error;

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("expected the path of a JSON file")?;
    // Without what every type has, or a derive gives.
    let interface = Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    for item in interface.items() {
        println!("{item}");
    }
    Ok(())
}
