//! Compiles the `.proto` files with protox, so that no `protoc` is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto, field_descriptor_proto::Type};

const FILES: [&str; 6] = [
    "accord/v1/signals.proto",
    "accord/v1/adapter.proto",
    "accord/v1/ledger.proto",
    "accord/v1/audit.proto",
    "accord/v1/agreement.proto",
    "accord/v1/subjects.proto",
];

/// Fields that hold a phone number or a token, wherever they stand.
const PERSONAL_FIELDS: [&str; 2] = ["msisdn", "token"];

/// Messages whose bytes hold an answer.
const ANSWERS: [&str; 3] = [
    ".accord.v1.LookupResponse",
    ".accord.v1.Reply",
    // It has a batch of changes as bytes.
    ".accord.v1.AdapterMessage",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(
        out.join("accord_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    let mut config = prost_build::Config::new();
    config.bytes([
        ".accord.v1.LookupResponse",
        ".accord.v1.Reply.body",
        ".accord.v1.AdapterMessage.changes",
    ]);
    config.skip_debug(unprintable(&descriptors.file));
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}

/// The messages that get no derived `Debug`, so that no log line can print them by accident: those
/// that carry a phone number, a token or an answer, those that hold one of these, and the oneofs of
/// them all.
fn unprintable(files: &[FileDescriptorProto]) -> Vec<String> {
    let ours = files.iter().filter(|file| file.package() == "accord.v1");
    let messages: Vec<(String, &DescriptorProto)> = ours
        .flat_map(|file| &file.message_type)
        .map(|message| (format!(".accord.v1.{}", message.name()), message))
        .collect();
    let mut found: Vec<String> = Vec::new();
    loop {
        let holds = |message: &DescriptorProto| {
            message.field.iter().any(|field| {
                let is_text = matches!(field.r#type(), Type::String | Type::Bytes);
                let is_personal = PERSONAL_FIELDS
                    .iter()
                    .any(|personal| field.name().contains(personal));
                (is_text && is_personal) || found.iter().any(|known| known == field.type_name())
            })
        };
        let more: Vec<String> = messages
            .iter()
            .filter(|(path, message)| {
                !found.contains(path) && (ANSWERS.contains(&path.as_str()) || holds(message))
            })
            .map(|(path, _)| path.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    let oneofs = messages
        .iter()
        .filter(|(path, _)| found.contains(path))
        .flat_map(|(path, message)| {
            let names = message.oneof_decl.iter();
            names.map(move |oneof| format!("{path}.{}", oneof.name()))
        });
    let oneofs: Vec<String> = oneofs.collect();
    found.into_iter().chain(oneofs).collect()
}
