//! C2SP `tlog-policy`: a policy is never satisfied by nobody, unless it says so.

#![no_main]

use accord_proto::c2sp::{Policy, SignedNote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    // A note behind a policy, where there is one.
    let (policy, note) = data.split_once("\n====\n").unwrap_or((data, ""));
    let Ok(policy) = Policy::parse(policy) else {
        return;
    };
    assert_eq!(policy.is_satisfied(&[]), policy.quorum().is_none());
    if let Ok(note) = SignedNote::parse(note)
        && let Ok((_, cosigned)) = policy.open(&note)
    {
        assert!(policy.is_satisfied(&cosigned));
    }
});
