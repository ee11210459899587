//! Numbers that have a least and a most: nothing overflows, and a typing error is found before it
//! acts.

use std::fmt::Display;

/// A key and its value, and the least and the most that it may be.
pub(super) type Bound<T> = (&'static str, T, T, T);

/// Each within its bounds.
///
/// # Errors
/// The first key that is not, and its bounds.
pub(super) fn check<T: Copy + PartialOrd + Display>(
    bounds: impl IntoIterator<Item = Bound<T>>,
) -> Result<(), (&'static str, String)> {
    for (key, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            return Err((key, format!("{least} to {most}")));
        }
    }
    Ok(())
}
