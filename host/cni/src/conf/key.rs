//! Keys: equal as Go's decoder has it, near as a misspelling is, and as a part of a pointer.

/// A letter as Go's decoder compares it. The two that are not ASCII fold to ASCII letters in
/// Unicode's simple folding, so Go takes them for those.
fn fold(letter: char) -> char {
    match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    }
}

/// Two keys are one to Go's decoder: equal but for case.
pub fn fold_eq(left: &str, right: &str) -> bool {
    left.chars().map(fold).eq(right.chars().map(fold))
}

/// A key as a part of an RFC 6901 pointer.
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The known key that an unknown one is likely meant to be: at most two letters missing, added,
/// changed or swapped, and at most half of the known key. `None` for a known key.
///
/// The half is for short keys: anything of three letters is two letters from any other.
pub fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if known.iter().any(|one| fold_eq(one, key)) {
        return None;
    }
    known
        .iter()
        .map(|one| (distance(key, one), *one))
        .filter(|(distance, one)| *distance <= 2 && distance * 2 <= one.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}

/// Letters missing, added, changed or swapped with their neighbour (Damerau and Levenshtein,
/// optimal string alignment), by the last two rows of the table only.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().map(fold).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().map(fold).enumerate() {
        let next = next_row(row + 1, letter, previous, &right, &above, &before);
        before = std::mem::replace(&mut above, next);
        previous = Some(letter);
    }
    above.last().copied().unwrap_or_default()
}

fn next_row(
    row: usize,
    letter: char,
    previous: Option<char>,
    right: &[char],
    above: &[usize],
    before: &[usize],
) -> Vec<usize> {
    let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
    let mut line = vec![row];
    let mut left = row;
    let mut last = None;
    for (column, other) in right.iter().copied().enumerate() {
        let changed = at(above, column) + usize::from(letter != other);
        let mut best = changed.min(at(above, column + 1) + 1).min(left + 1);
        if previous == Some(other) && last == Some(letter) && column > 0 {
            best = best.min(at(before, column - 1) + 1);
        }
        line.push(best);
        (left, last) = (best, Some(other));
    }
    line
}
