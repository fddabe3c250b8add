//! When a pool will be full, if it goes on as it did.

/// An event that counts: when, and whether an attachment came (or one went).
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// Seconds since the Unix epoch.
    pub time: f64,
    /// True of an ADD, false of a DEL.
    pub came: bool,
}

/// Fewer moves, or a shorter while, tell nothing.
const MOVES: usize = 10;
const WHILE: f64 = 60.0;

/// How many seconds until `free` addresses are gone; none where they do not become fewer, or too
/// little happened to tell. `now` ends the while that is looked at.
pub fn exhausted_in(free: u64, moves: &[Move], now: f64) -> Option<f64> {
    let first = moves.iter().map(|it| it.time).fold(f64::INFINITY, f64::min);
    let span = now - first;
    if moves.len() < MOVES || span < WHILE {
        return None;
    }
    let came = moves.iter().filter(|it| it.came).count();
    let gone = moves.len() - came;
    let more = came.checked_sub(gone).filter(|more| *more > 0)?;
    #[allow(clippy::cast_precision_loss, reason = "a forecast is no count")]
    let seconds = free as f64 * span / more as f64;
    Some(seconds)
}

/// For people: "3 h", "2 days".
pub fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s if s < 3650.0 * 86_400.0 => format!("{:.0} days", s / 86_400.0),
        _ => "over 10 years".to_owned(),
    }
}

/// How much of it is used, as a bar: held `#`, resting `~`, free `.`.
pub fn bar(total: u128, held: u128, resting: u128, width: usize) -> String {
    let cells = |count: u128| {
        let of = u128::try_from(width).unwrap_or_default();
        let exact = count.saturating_mul(of).checked_div(total).unwrap_or_default();
        // What is there is seen.
        usize::try_from(exact.max(u128::from(count > 0))).unwrap_or(width)
    };
    let held = cells(held).min(width);
    let resting = cells(resting).min(width - held);
    format!("[{}{}{}]", "#".repeat(held), "~".repeat(resting), ".".repeat(width - held - resting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(came: usize, gone: usize) -> Vec<Move> {
        let all = std::iter::repeat_n(true, came).chain(std::iter::repeat_n(false, gone));
        all.enumerate()
            .map(|(n, came)| Move { time: if n == 0 { 0.0 } else { 50.0 }, came })
            .collect()
    }

    #[test]
    fn it_goes_on_as_it_did() {
        assert_eq!(exhausted_in(100, &moves(30, 10), 3600.0), Some(18_000.0));
        assert_eq!(exhausted_in(100, &moves(10, 30), 3600.0), None, "it becomes emptier");
        assert_eq!(exhausted_in(100, &moves(5, 0), 3600.0), None, "too little happened");
        assert_eq!(exhausted_in(100, &moves(50, 0), 50.0), None, "in too short a while");
        assert_eq!((span(18_000.0), span(90.0)), ("5 h".into(), "90 s".into()));
        assert_eq!((span(864_000.0), span(1e12)), ("10 days".into(), "over 10 years".into()));
    }

    #[test]
    fn a_bar_shows_what_is_there() {
        assert_eq!(bar(100, 50, 10, 10), "[#####~....]");
        assert_eq!(bar(1 << 100, 1, 1, 10), "[#~........]");
        assert_eq!(bar(0, 0, 0, 4), "[....]");
        assert_eq!(bar(4, 4, 9, 4), "[####]");
    }
}
