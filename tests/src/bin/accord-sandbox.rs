//! `accord-sandbox`: the whole of Accord on loopback, with test numbers.
fn main() {}
