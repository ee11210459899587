//! Bounded waits.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use super::WorldError;

/// How long a world waits for what it needs.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until a condition is true, for at most [`WAIT_MAX`].
///
/// # Errors
/// [`WorldError::TimedOut`] names what was waited for.
pub async fn wait_until<F>(what: &str, mut condition: impl FnMut() -> F) -> Result<(), WorldError>
where
    F: Future<Output = bool>,
{
    let until = Instant::now() + WAIT_MAX;
    while !condition().await {
        if Instant::now() >= until {
            return Err(WorldError::TimedOut {
                what: what.to_owned(),
            });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
