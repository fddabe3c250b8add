//! A compile bomb for tests: a core module changed so that it is as valid as before, but that to
//! compile it takes minutes. It is only ever given to the executable's own limits.

use anyhow::{Context as _, Result, bail};

/// "\0asm" and version 1.
const HEADER: usize = 8;
/// Numbers of sections, by the core specification.
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;

/// Functions of a compile bomb. One takes half a minute and more; many, since a compiler that has
/// several threads gives each a function.
const BODIES: usize = 40;
/// Locals of each, all of which live through all of its loops: the compiler's work grows with the
/// product and faster.
const LOCALS: u64 = 500;
const LOOPS: u64 = 500;

/// The module with the bomb in it: functions that nobody calls, at the end, so that no number of
/// another changes.
pub(crate) fn put_into(module: &[u8]) -> Result<Vec<u8>> {
    let mut sections = split(module).context("read the sections of a module")?;
    // One more type: no parameters, no results.
    let ours = append(section(&mut sections, TYPES)?, 1, &[0x60, 0, 0])?;
    let declared: Vec<u8> = (0..BODIES).flat_map(|_| leb(ours)).collect();
    append(section(&mut sections, FUNCTIONS)?, BODIES, &declared)?;
    let body = body();
    let one = [leb(body.len() as u64), body].concat();
    append(section(&mut sections, CODE)?, BODIES, &one.repeat(BODIES))?;
    Ok(join(module, &sections))
}

type Section = (u8, Vec<u8>);

fn section(sections: &mut [Section], wanted: u8) -> Result<&mut Vec<u8>> {
    let found = sections.iter_mut().find(|(number, _)| *number == wanted);
    found.map(|(_, content)| content).with_context(|| format!("the module has no section {wanted}"))
}

/// Loops in loops, and in the innermost every local is written: so each loop is entered with
/// each of them as it was, or as it became.
fn body() -> Vec<u8> {
    const I32: u8 = 0x7f;
    const LOOP: [u8; 2] = [0x03, 0x40];
    const END: u8 = 0x0b;
    const GET: u8 = 0x20;
    const SET: u8 = 0x21;
    const ADD: u8 = 0x6a;
    const AGAIN_IF: [u8; 2] = [0x0d, 0];
    let mut body = [vec![1], leb(LOCALS), vec![I32]].concat();
    (0..LOOPS).for_each(|_| body.extend(LOOP));
    for local in 0..LOCALS {
        let next = (local + 1) % LOCALS;
        for (code, of) in [(GET, local), (GET, next)] {
            body.push(code);
            body.extend(leb(of));
        }
        body.extend([ADD, SET]);
        body.extend(leb(local));
    }
    for at in 0..LOOPS {
        body.push(GET);
        body.extend(leb(at % LOCALS));
        body.extend(AGAIN_IF);
        body.push(END);
    }
    body.push(END);
    body
}

/// Adds entries at the end of a section that is a list; how many there were.
fn append(content: &mut Vec<u8>, count: usize, entries: &[u8]) -> Result<u64> {
    let mut rest = content.as_slice();
    let before = number(&mut rest)?;
    *content = [leb(before + count as u64).as_slice(), rest, entries].concat();
    Ok(before)
}

fn split(module: &[u8]) -> Result<Vec<Section>> {
    let mut rest = module.get(HEADER..).context("it is too short")?;
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let number_of = byte(&mut rest)?;
        let length = usize::try_from(number(&mut rest)?)?;
        let (content, after) = rest.split_at_checked(length).context("a section is cut short")?;
        sections.push((number_of, content.to_vec()));
        rest = after;
    }
    Ok(sections)
}

fn join(module: &[u8], sections: &[Section]) -> Vec<u8> {
    let mut all = module.iter().take(HEADER).copied().collect::<Vec<u8>>();
    for (number_of, content) in sections {
        all.push(*number_of);
        all.extend(leb(content.len() as u64));
        all.extend(content);
    }
    all
}

fn byte(rest: &mut &[u8]) -> Result<u8> {
    let (first, after) = rest.split_first().context("it ends too early")?;
    *rest = after;
    Ok(*first)
}

/// A number in LEB128, unsigned.
fn number(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(rest)?;
        value |= u64::from(next & 0x7f) << shift;
        if next < 0x80 {
            return Ok(value);
        }
    }
    bail!("a number is too long")
}

fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One type, one function, one body: nothing.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x04\x01\x60\0\0\
        \x03\x02\x01\0\
        \x0a\x04\x01\x02\0\x0b";

    #[test]
    fn sections_are_split_and_joined() -> Result<()> {
        assert_eq!(join(MODULE, &split(MODULE)?), MODULE);
        assert!(split(MODULE.get(..20).unwrap_or_default()).is_err());
        Ok(())
    }

    #[test]
    fn a_compile_bomb_declares_as_many_functions_as_it_has() -> Result<()> {
        let bomb = put_into(MODULE)?;
        let mut sections = split(&bomb)?;
        for (wanted, count) in
            [(TYPES, 2), (FUNCTIONS, 1 + BODIES as u64), (CODE, 1 + BODIES as u64)]
        {
            let content = section(&mut sections, wanted)?.clone();
            assert_eq!(number(&mut content.as_slice())?, count);
        }
        assert!(bomb.len() < 4 << 20, "{}", bomb.len());
        Ok(())
    }
}
