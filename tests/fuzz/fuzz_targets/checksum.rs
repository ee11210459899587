//! Files of checksums and manifests: the checksum that is found is the one that stands there, and a
//! second, other one for the same name is never passed over.

#![no_main]

use accord_adapters::csv_export::checksum;
use libfuzzer_sys::fuzz_target;

const NAME: &str = "subscribers-20261123.csv";

fn line(content: &[u8; 32], name: &str) -> String {
    let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}  {name}\n")
}

fuzz_target!(|text: &str| {
    for alone in [false, true] {
        let Ok(content) = checksum(text, NAME, alone) else {
            continue;
        };
        let own = line(&content, NAME);
        let hex = own.get(..64).expect("it was just written");
        assert!(text.to_ascii_lowercase().contains(hex), "it stands nowhere");
        assert_eq!(checksum(&own, NAME, alone).ok(), Some(content));
        let mut other = content;
        other[31] ^= 1;
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let again = format!("{text}{end}{own}{}", line(&other, "another.csv"));
        assert_eq!(checksum(&again, NAME, alone).ok(), Some(content));
        let twice = format!("{text}{end}{}", line(&other, NAME));
        assert!(
            checksum(&twice, NAME, alone).is_err(),
            "one of two is chosen"
        );
    }
});
