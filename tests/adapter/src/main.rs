//! `cargo run` here assembles anew what the executable carries, after a change of its text; `cargo test`
//! holds that the bytes which are kept fit the text.

use std::path::{Path, PathBuf};

/// Where the texts are, and the bytes beside them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/wharfinger/src/cli/plugin/component")
}

/// The adapter, and a guest of its tests.
const NAMES: [&str; 2] = ["wasi", "guest"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for name in NAMES {
        let text = folder().join(name).with_extension("wat");
        std::fs::write(text.with_extension("wasm"), wat::parse_file(&text)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_that_are_kept_fit_their_text() {
        for name in NAMES {
            let text = folder().join(name).with_extension("wat");
            let kept = std::fs::read(text.with_extension("wasm")).unwrap();
            let made = wat::parse_file(&text).unwrap();
            assert!(kept == made, "{name}.wasm is of another text: cargo run in tests/adapter");
        }
    }
}
