//! The fuzzer's starting corpus of the list of parties: each breaks one rule, so that the target fails at
//! once where that rule goes missing.

use std::path::Path;

use accord_proto::parties::Parties;

#[test]
fn each_seed_of_the_register_breaks_one_rule_and_one_seed_none() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/parties");
    let (mut good, mut odd, mut broken) = (Vec::new(), Vec::new(), 0);
    for seed in std::fs::read_dir(seeds).unwrap() {
        let path = seed.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match Parties::check(&std::fs::read_to_string(&path).unwrap()) {
            Ok(_) => good.push(name),
            Err(mistakes) if mistakes.as_slice().len() == 1 => broken += 1,
            Err(mistakes) => odd.push(format!("{name}: {mistakes}")),
        }
    }
    assert_eq!(odd, Vec::<String>::new());
    assert_eq!(good, ["two"]);
    assert!(broken >= 19, "{broken}");
}
