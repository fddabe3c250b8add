//! The one misdeed that Rust has no words for: a table that grows. It is linked in as an object
//! file of a few bytes: `grow_table() -> i32`.

use std::env;
use std::path::Path;

/// Elements by which it grows: 10,000,000, in signed LEB128.
const MORE: [u8; 4] = [0x80, 0xad, 0xe2, 0x04];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    let object = Path::new(&out).join("grow_table.o");
    std::fs::write(&object, grow_table()).expect("write an object file");
    println!("cargo:rustc-link-arg-cdylib={}", object.display());
    println!("cargo:rustc-link-arg-cdylib=--growable-table");
}

/// An object file as the linker takes it (WebAssembly tool conventions, "Object file linking").
fn grow_table() -> Vec<u8> {
    // No locals; ref.null func, i32.const MORE, table.grow 0, end.
    let body = [&[0, 0xd0, 0x70, 0x41], MORE.as_slice(), &[0xfc, 0x0f, 0, 0x0b]].concat();
    let name = b"grow_table";
    // A symbol: of kind function, not hidden, the module's function 0.
    let symbol = [&[0, 0, 0, name.len() as u8], name.as_slice()].concat();
    let symbols = [vec![1], symbol].concat();
    let linking = [&[7], b"linking".as_slice(), &[2, 8, symbols.len() as u8], &symbols].concat();
    let code = [&[1, body.len() as u8], body.as_slice()].concat();
    let mut object = b"\0asm\x01\0\0\0".to_vec();
    // One type, () -> i32; one function of it.
    for (number, content) in
        [(1, vec![1, 0x60, 0, 1, 0x7f]), (3, vec![1, 0]), (10, code), (0, linking)]
    {
        object.extend([number, content.len() as u8]);
        object.extend(content);
    }
    object
}
