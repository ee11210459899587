//! Accord on real input: a real HLR, and the export of a whole billing system.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be, and says what was told"
)]

mod both;
mod diameter;
mod export;
mod hlr;

use accord_tests::world::{OperatorSpec, WorldSpec};

/// What the bank may ask here.
const AGREEMENT: &str = include_str!("../../samples/real-input.toml");

/// A world with one operator, whose adapter reads this source.
fn spec(name: &str, title: &str, range: &str, source: String) -> WorldSpec {
    WorldSpec {
        agreement: AGREEMENT.to_owned(),
        operators: vec![OperatorSpec {
            name: name.to_owned(),
            title: title.to_owned(),
            ranges: vec![range.to_owned()],
            source,
        }],
        ..WorldSpec::default()
    }
}
