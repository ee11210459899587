//! What must not be printed can't be: numbers, secrets, and the messages that carry them.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::{fmt::Display, marker::PhantomData};

use accord_proto::{msisdn::Msisdn, secret::Secret, v1::FILE_DESCRIPTOR_SET};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The messages as Rust, as the build made them.
const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/accord.v1.rs"));

/// Words in the names of fields that hold a number or a token.
const PERSONAL: [&str; 5] = ["msisdn", "subscriber", "phone", "number", "token"];

struct Probe<T>(PhantomData<T>);

/// What holds of a type without the trait.
trait Otherwise {
    const HAS_DISPLAY: bool = false;
}

impl<T> Otherwise for Probe<T> {}

/// An inherent constant goes before that of a trait.
impl<T: Display> Probe<T> {
    const HAS_DISPLAY: bool = true;
}

#[test]
fn numbers_and_secrets_have_no_display() {
    let shown = [
        ("String", Probe::<String>::HAS_DISPLAY, true),
        ("Msisdn", Probe::<Msisdn>::HAS_DISPLAY, false),
        (
            "Secret<String>",
            Probe::<Secret<String>>::HAS_DISPLAY,
            false,
        ),
        ("Secret<u32>", Probe::<Secret<u32>>::HAS_DISPLAY, false),
    ];
    for (name, has_display, expected) in shown {
        assert_eq!(has_display, expected, "{name}");
    }
}

#[test]
fn messages_with_a_number_or_a_token_have_no_debug() {
    let descriptors = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours = descriptors
        .file
        .iter()
        .filter(|file| file.package() == "accord.v1");
    let mut found = 0;
    for message in ours.flat_map(|file| &file.message_type) {
        let personal = message.field.iter().any(|field| {
            use prost_types::field_descriptor_proto::Type;
            let name = field.name();
            matches!(field.r#type(), Type::String | Type::Bytes)
                && PERSONAL.iter().any(|word| name.contains(word))
        });
        if personal {
            found += 1;
            assert!(!derives_debug(message.name()), "{}", message.name());
        }
    }
    // LookupRequest, Ask, Restriction, Change, ServedFromView, TokenRefresh.
    assert!(found >= 6, "only {found} were found");
    // And the look at the text sees the difference.
    assert!(derives_debug("SignalRecord"));
}

/// Whether a message has the `Debug` that prost derives.
fn derives_debug(name: &str) -> bool {
    let (before, _) = GENERATED
        .split_once(&format!("pub struct {name} {{"))
        .unwrap();
    // Its attributes stand after the end of what comes before it.
    let attributes = before.rsplit_once("\n}").map_or(before, |(_, own)| own);
    let own = attributes
        .rsplit_once("\n    }")
        .map_or(attributes, |(_, own)| own);
    assert!(own.contains("derive("), "{name}: {own}");
    !own.contains("#[prost(skip_debug)]")
}
