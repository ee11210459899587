//! Operators' real systems as sources, end to end: a bank asks through a broker and an adapter.

mod events;
mod sql;

use accord_tests::world::{NORTH_PREFIX, OperatorSpec, WorldSpec};

/// What the bank may ask here.
const AGREEMENT: &str = include_str!("../../samples/real-input.toml");

/// A world with north-mobile, whose adapter reads this source.
fn spec(source: String) -> WorldSpec {
    WorldSpec {
        agreement: AGREEMENT.to_owned(),
        operators: vec![OperatorSpec {
            name: "north-mobile".to_owned(),
            title: "North Mobile".to_owned(),
            ranges: vec![NORTH_PREFIX.to_owned()],
            source,
        }],
        ..WorldSpec::default()
    }
}
