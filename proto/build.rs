//! Compiles the `.proto` files with protox, so that no `protoc` is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 5] = [
    "accord/v1/signals.proto",
    "accord/v1/adapter.proto",
    "accord/v1/ledger.proto",
    "accord/v1/audit.proto",
    "accord/v1/agreement.proto",
];

/// Messages that carry a phone number, a token or an answer: they get no derived `Debug`, so that
/// no log line can print them by accident.
const PERSONAL: [&str; 20] = [
    "LookupRequest",
    "LookupResponse",
    "ScreenLine",
    "ScreenRequest",
    "ScreenResponse",
    "ScreenAnswer",
    "TokenRefresh",
    "Ask",
    "Restriction",
    "Restriction.scope",
    "ScreenRequest.message",
    "ScreenResponse.message",
    "BrokerMessage.message",
    "AdapterMessage.message",
    "Change",
    "ServedFromView",
    "BrokerMessage",
    "AdapterMessage",
    "Reply",
    "ChangeBatch",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(
        out.join("accord_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    let mut config = prost_build::Config::new();
    config.bytes([".accord.v1.LookupResponse", ".accord.v1.Reply.body"]);
    config.skip_debug(PERSONAL.map(|name| format!(".accord.v1.{name}")));
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}
