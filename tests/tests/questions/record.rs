//! What the ledger says happened.

use accord_proto::v1::{self, entry::Event};
use accord_tests::world::{World, wait_until};
use prost::Message as _;

/// How many entries there are.
pub(crate) fn size(world: &World) -> u64 {
    world.broker.ledger().size_of(None).unwrap()
}

/// One entry's event.
pub(crate) fn event(world: &World, index: u64) -> Event {
    let bytes = world.broker.ledger().entry(None, index).unwrap();
    v1::Entry::decode(bytes.as_slice()).unwrap().event.unwrap()
}

/// One entry's access.
pub(crate) fn access(world: &World, index: u64) -> v1::Access {
    match event(world, index) {
        Event::Access(access) => access,
        other => panic!("{other:?}"),
    }
}

/// The events from an index on.
pub(crate) fn since(world: &World, index: u64) -> Vec<Event> {
    (index..size(world)).map(|at| event(world, at)).collect()
}

/// The refused calls among events: party, method, reason, field.
pub(crate) fn refused(events: &[Event]) -> Vec<(String, String, String, String)> {
    let refused = events.iter().filter_map(|event| match event {
        Event::RefusedCall(call) => Some(call.clone()),
        _ => None,
    });
    refused
        .map(|call| (call.party, call.method, call.reason, call.field))
        .collect()
}

/// The accesses among events.
pub(crate) fn accesses(events: &[Event]) -> Vec<v1::Access> {
    let accesses = events.iter().filter_map(|event| match event {
        Event::Access(access) => Some(access.clone()),
        _ => None,
    });
    accesses.collect()
}

/// The batches of changes among events.
pub(crate) fn batches(events: &[Event]) -> Vec<v1::SourceChanges> {
    let batches = events.iter().filter_map(|event| match event {
        Event::SourceChanges(changes) => Some(changes.clone()),
        _ => None,
    });
    batches.collect()
}

/// The only batch of changes from an index on.
pub(crate) fn only_batch(world: &World, from: u64) -> v1::SourceChanges {
    let [batch] = <[_; 1]>::try_from(batches(&since(world, from))).unwrap();
    batch
}

/// Waits until an event that fits is on the record after an index.
pub(crate) async fn wait_for(world: &World, from: u64, what: &str, fits: impl Fn(&Event) -> bool) {
    wait_until(what, || async { since(world, from).iter().any(&fits) })
        .await
        .unwrap();
}

/// Waits until the documents in force at the last start are on the record: then nothing is added
/// unless somebody does something.
pub(crate) async fn settled(world: &World) {
    let start = v1::operation::Kind::Start as i32;
    let is_start = |event: Event| matches!(event, Event::Operation(act) if act.kind == start);
    let began = (0..size(world))
        .rev()
        .find(|at| is_start(event(world, *at)))
        .unwrap();
    let parties = |event: &Event| matches!(event, Event::DocumentLoaded(d) if d.kind == "parties");
    wait_for(world, began, "the documents on the record", parties).await;
}
