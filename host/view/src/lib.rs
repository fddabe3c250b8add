//! What operators are shown of a node: findings, measures, forecasts and pictures.
//!
//! All of it is made from facts that the executable gathered, so that each line of it is tested without
//! a node. It must never do I/O, look at the clock, or trust a name that it prints. Start reading at
//! [`doctor::findings`].
#![forbid(unsafe_code)]

pub mod doctor;
pub mod forecast;
pub mod metrics;
pub mod topology;

/// Others' words on one line: what would move a terminal's cursor, or have words read in another direction,
/// is a space.
pub fn plain(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean = |letter: char| if letter.is_control() || turns(letter) { ' ' } else { letter };
    text.chars().map(clean).collect()
}
