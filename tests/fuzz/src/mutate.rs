//! Changes to inputs: to what JSON says, where they are JSON, and to bytes.

use serde_json::{Map, Value, json};

use crate::Dice;

/// Above this an input takes long, and rarely says more.
const LARGE: usize = 8 << 10;

/// An input out of those that there are, changed.
pub fn mutate(dice: &mut Dice, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut input = changed(dice, pool);
    let longest = dice.of(pool).len().max(LARGE);
    while input.len() > longest && !dice.once_in(100) {
        input = changed(dice, pool);
    }
    input
}

fn changed(dice: &mut Dice, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut input = dice.of(pool).clone();
    let json = serde_json::from_slice::<Value>(&input).ok().filter(|_| !dice.once_in(5));
    if let Some(mut value) = json {
        for _ in 0..=dice.below(4) {
            change(dice, &mut value, pool);
        }
        input = value.to_string().into_bytes();
        if !dice.once_in(8) {
            return input;
        }
    }
    for _ in 0..=dice.below(6) {
        scramble(dice, &mut input, pool);
    }
    input
}

/// Changes something somewhere in a value.
fn change(dice: &mut Dice, value: &mut Value, pool: &[Vec<u8>]) {
    match value {
        Value::Object(map) if !map.is_empty() && !dice.once_in(6) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = dice.of(&keys).clone();
            match dice.below(12) {
                0 => _ = map.shift_remove(&key),
                1 => respell(dice, map, &key),
                2 => _ = map.insert(dice.of(&keys).clone(), stranger(dice, pool)),
                _ => map.get_mut(&key).into_iter().for_each(|inner| change(dice, inner, pool)),
            }
        }
        Value::Array(list) if !list.is_empty() && !dice.once_in(6) => {
            let at = dice.below(list.len());
            match dice.below(8) {
                0 => _ = list.remove(at),
                1 => list.extend_from_within(at..),
                2 => list.push(stranger(dice, pool)),
                3 => list.rotate_left(at),
                _ => list.get_mut(at).into_iter().for_each(|inner| change(dice, inner, pool)),
            }
        }
        Value::String(text) if !dice.once_in(3) => {
            let mut bytes = std::mem::take(text).into_bytes();
            scramble(dice, &mut bytes, pool);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        other => *other = stranger(dice, pool),
    }
}

/// A key of another case, or with a letter too many, beside the first or in its place.
fn respell(dice: &mut Dice, map: &mut Map<String, Value>, key: &str) {
    let value = if dice.once_in(2) { map.shift_remove(key) } else { map.get(key).cloned() };
    let key = match dice.below(3) {
        0 => key.to_uppercase(),
        1 => format!("{key}s"),
        _ => key.chars().skip(1).collect(),
    };
    map.insert(key, value.unwrap_or_default());
}

/// A value from elsewhere: another input's, or one at an edge.
fn stranger(dice: &mut Dice, pool: &[Vec<u8>]) -> Value {
    match dice.below(6) {
        0 => {
            let other: &Vec<u8> = dice.of(pool);
            part(dice, &serde_json::from_slice(other).unwrap_or_default())
        }
        1 => json!(dice.of(&NUMBERS)),
        2 => {
            let inner = stranger(dice, pool);
            (0..dice.below(140)).fold(inner, |inner, _| json!([inner]))
        }
        3 => Value::Array(vec![json!(dice.of(&TEXTS)); dice.below(400)]),
        4 => dice
            .of(&[json!(null), json!(true), json!({}), json!([]), json!(1e300), json!(-1)])
            .clone(),
        _ => json!(dice.of(&TEXTS)),
    }
}

/// Something out of a value.
fn part(dice: &mut Dice, value: &Value) -> Value {
    let inner = match value {
        Value::Object(map) if !map.is_empty() => map.values().nth(dice.below(map.len())),
        Value::Array(list) if !list.is_empty() => list.get(dice.below(list.len())),
        _ => None,
    };
    match inner {
        Some(inner) if !dice.once_in(4) => part(dice, inner),
        _ => value.clone(),
    }
}

/// Changes bytes: one, a piece taken away, doubled, or from elsewhere.
fn scramble(dice: &mut Dice, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(12)).min(bytes.len());
    match dice.below(7) {
        0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << dice.below(8)),
        1 => _ = bytes.drain(at..end),
        2 => bytes.extend_from_within(at..end),
        3 => bytes.truncate(at),
        4 => _ = bytes.splice(at..end, dice.of(&TEXTS).bytes()),
        5 => {
            let other = dice.of(pool);
            let from = dice.below(other.len() + 1);
            let to = (from + dice.below(40)).min(other.len());
            bytes.splice(at..end, other.get(from..to).unwrap_or_default().to_vec());
        }
        _ => bytes.insert(at, u8::try_from(dice.below(256)).unwrap_or_default()),
    }
}

/// Numbers at edges.
const NUMBERS: [i64; 14] =
    [0, 1, -1, 2, 15, 16, 128, 255, 4095, 65536, 2_147_483_648, 4_294_967_296, i64::MIN, i64::MAX];

/// Texts at edges: addresses, names, paths, what a shell or a rule would take for its own.
const TEXTS: [&str; 32] = [
    "",
    " ",
    ".",
    "..",
    "../../../etc/passwd",
    "/",
    "/proc/self/ns/net",
    "eth0",
    "lo",
    "a-name-of-a-link-that-is-too-long",
    "10.1.0.0/16",
    "10.1.0.5",
    "10.1.0.5/33",
    "0.0.0.0/0",
    "255.255.255.255/32",
    "::/0",
    "fd00::/64",
    "fd00::5/129",
    "::ffff:10.1.0.5/120",
    "fe80::1%eth0",
    "ff02::1",
    "02:00:00:00:00:01",
    "01:00:00:00:00:01",
    "net.ipv4.ip_forward",
    "net.ipv4.conf.IFNAME.arp_filter",
    "18446744073709551616",
    "1.1.0",
    "wharfinger",
    "\u{0}",
    "\u{202e}é\u{10ffff}",
    "$(reboot);`reboot`\n{ accept }",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
