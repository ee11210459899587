//! The command `accord`.

fn main() {}
