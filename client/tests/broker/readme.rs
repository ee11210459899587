//! The bank's program of the README, compiled as it stands there.

use std::{error::Error, fs};

use accord_client::{
    Client, Endpoints, Identity, Lookup, Roots, TokenAlg, TokenKey,
    words::{Place, outcome_words},
};
use accord_proto::purpose::Purpose;

#[rustfmt::skip]
#[expect(clippy::print_stdout, reason = "the README's program prints")]
async fn program() -> Result<(), Box<dyn Error>> {
    let client = Client::builder()
        .endpoints(Endpoints::new("broker.accord.example", ["https://broker.accord.example:7443"])?)
        .roots(Roots::from_pem(&fs::read("roots.pem")?)?)
        .identity(Identity::from_pem(&fs::read("bank.pem")?, &fs::read("bank.key")?)?)
        .token_key(TokenKey::from_pem(TokenAlg::Es256, &fs::read("token.key")?, "key-1", "accord.example")?)
        .build()?;
    let question = Lookup::about("+447700900001", Purpose::Payment).sim_swap_within(72).call_forwarding();
    for signal in client.lookup(question).await?.signals() {
        println!("{}", outcome_words(signal, Place::Line));
    }
    Ok(())
}

#[tokio::test]
async fn the_program_of_the_readme_is_this_one_and_it_runs() {
    let source = include_str!("readme.rs");
    let body = source.split_once("async fn program()").unwrap().1;
    let body = body.split_once("{\n").unwrap().1;
    let body = body.split_once("    Ok(())").unwrap().0;
    let body: String = body
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect();
    let readme = include_str!("../../../README.md");
    let shown = readme.split_once("```rust\n").unwrap().1;
    assert_eq!(shown.split_once("```").unwrap().0, body);
    // Here it comes as far as its first file.
    let error = program().await.unwrap_err();
    let error = error.downcast::<std::io::Error>().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
