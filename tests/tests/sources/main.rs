//! Operators' real systems as sources, end to end: a bank asks through a broker and an adapter.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod events;
mod files;
mod sql;

use accord_tests::world::{NORTH_PREFIX, OperatorSpec, WorldSpec};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

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

/// How many answers the broker has given from its view.
async fn view_served(admin_port: u16) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", admin_port)).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let name = "accord_view_served_total";
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}
