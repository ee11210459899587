//! Events of an operator's stream: what is read has its limits, and reads the same in a batch.

#![no_main]

use accord_adapters::events::envelope::{BATCH_MAX, parse, parse_batch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let one = parse(data);
    if let Ok(event) = &one {
        assert!((1..=128).contains(&event.id.len()) && (1..=128).contains(&event.source.len()));
        let batch = parse_batch(data).expect("a batch of one");
        assert_eq!(batch.as_slice(), std::slice::from_ref(event));
        let mut twice = b"[".to_vec();
        twice.extend(data);
        twice.push(b',');
        twice.extend(data);
        twice.push(b']');
        assert_eq!(parse_batch(&twice).expect("a batch of two").len(), 2);
    }
    if let Ok(events) = parse_batch(data) {
        assert!(events.len() <= BATCH_MAX);
    }
});
