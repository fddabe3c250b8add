//! What SQLite and the file system answer, as the book's errors: damage, which is set aside, or
//! trouble, which passes or which an operator ends.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::Error;

/// Names what was tried on which file, and tells damage from trouble.
pub(super) fn sqlite(path: &Path, tried: &str, error: &rusqlite::Error) -> Error {
    if is_damage(error) {
        return damaged(path, format!("{tried}: {error}"));
    }
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    let what = format!("{tried}: {error} (SQLite's code {code})");
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Error::Denied { path: path.display().to_string(), what }
        }
        _ => unavailable(path, what),
    }
}

/// Whether the file's content is to blame. A constraint that fails is damage too: every write
/// looks first, so only a book that contradicts itself gets there.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => match code.code {
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => true,
            // The latter of a header with a number that no SQLite writes.
            ErrorCode::Unknown => text.as_deref().is_some_and(|text| {
                text.starts_with("no such") || text == "unsupported file format"
            }),
            _ => false,
        },
        rusqlite::Error::SqlInputError { msg, .. } => msg.starts_with("no such"),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// The file's content is wrong.
pub(super) fn damaged(path: &Path, what: String) -> Error {
    Error::Damaged { path: path.display().to_string(), what }
}

/// It cannot be read or written now.
pub(super) fn unavailable(path: &Path, what: String) -> Error {
    Error::Unavailable { path: path.display().to_string(), what }
}

/// What the file system answered.
pub(super) fn io(path: &Path, tried: &str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::of_file(path, tried, &error)
}
