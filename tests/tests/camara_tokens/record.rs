//! What the ledger says of refused token requests.

use accord_proto::v1::{self, entry::Event};
use accord_tests::world::{World, wait_until};
use prost::Message as _;

/// How many entries there are.
pub(crate) fn size(world: &World) -> u64 {
    world.broker.ledger().size_of(None).unwrap()
}

/// The events from an index on.
pub(crate) fn since(world: &World, index: u64) -> Vec<Event> {
    let event = |at| {
        let bytes = world.broker.ledger().entry(None, at).unwrap();
        v1::Entry::decode(bytes.as_slice()).unwrap().event.unwrap()
    };
    (index..size(world)).map(event).collect()
}

/// Party, method, reason and field of the refused calls from an index on.
pub(crate) fn refused(world: &World, index: u64) -> Vec<[String; 4]> {
    let refused = since(world, index)
        .into_iter()
        .filter_map(|event| match event {
            Event::RefusedCall(call) => Some([call.party, call.method, call.reason, call.field]),
            _ => None,
        });
    refused.collect()
}

/// The loads of a kind of document from an index on.
pub(crate) fn loaded(world: &World, index: u64, kind: &str) -> Vec<v1::DocumentLoaded> {
    let loaded = since(world, index)
        .into_iter()
        .filter_map(|event| match event {
            Event::DocumentLoaded(loaded) if loaded.kind == kind => Some(loaded),
            _ => None,
        });
    loaded.collect()
}

/// Waits until a load of a kind of document is on the record.
pub(crate) async fn wait_loaded(world: &World, index: u64, kind: &str) -> v1::DocumentLoaded {
    let what = format!("{kind} on the record");
    wait_until(&what, || async { !loaded(world, index, kind).is_empty() })
        .await
        .unwrap();
    loaded(world, index, kind).remove(0)
}
