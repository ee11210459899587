//! The form of a token request, from whoever reaches the port: each parameter once, and what was read
//! is spelt and read again alike.

#![no_main]

use accord_proto::oauth::{Form, encode_form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(form) = Form::parse(data) else {
        return;
    };
    let read: Vec<(&str, &str)> = form.iter().collect();
    assert!(read.len() <= 32);
    let bytes: usize = read
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert!(bytes <= data.len(), "it grew");
    for (place, (name, value)) in read.iter().enumerate() {
        let later = read.iter().skip(place + 1);
        assert!(
            later.into_iter().all(|(other, _)| other != name),
            "{name} stands twice"
        );
        assert_eq!(
            form.get(name),
            Some(*value).filter(|value| !value.is_empty())
        );
    }
    let spelt = encode_form(read.iter().copied());
    let again = Form::parse(spelt.as_bytes()).expect("what we spell is a form");
    // A parameter without name and value can be spelt as nothing at all.
    let some = |pair: &(&str, &str)| *pair != ("", "");
    assert!(
        again
            .iter()
            .filter(some)
            .eq(read.iter().copied().filter(some))
    );
});
