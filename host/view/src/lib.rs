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

/// Others' words on one line: what would move a terminal's cursor is a space.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
