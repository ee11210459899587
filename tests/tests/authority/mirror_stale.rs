//! Yesterday's checkpoint, cosigned and sound, shown again: told from a ledger in which nothing
//! happens.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_client::mirror::{Holds, Mirror, Stale, verify_mirror};
use accord_proto::{
    c2sp::{Policy, SignedNote},
    clock::{Clock as _, ManualClock, SystemClock},
};
use accord_tests::world::{CENTRAL_BANK, POLICY_FILE, World, WorldFiles, WorldSpec, wait_until};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::{
    following::Following,
    offline::{audit, complaint, said},
    rig::{Rig, copy, held},
    static_tiles::StaticTiles,
};

const BOUND: SignedDuration = SignedDuration::from_mins(10);

/// A witnessed world whose clock stands still until it is moved.
struct Idle {
    rig: Rig,
    clock: Arc<ManualClock>,
    policy: Policy,
}

impl Idle {
    async fn at(now: Timestamp) -> Self {
        let clock = ManualClock::at(now);
        let spec = WorldSpec {
            witnessed: true,
            clock: clock.clone(),
            ..WorldSpec::default()
        };
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        // Where the clock is moved, that shall be no step to the ledger.
        let config = files.broker_config_path();
        let text = fs::read_to_string(&config).unwrap();
        let patient = "[ledger]\nclock_step_seconds_max = 3600\n";
        let text = text.replacen("[ledger]\n", patient, 1);
        assert!(text.contains(patient));
        fs::write(&config, text).unwrap();
        let world = World::start(files, spec.clock.clone()).await.unwrap();
        let rig = Rig { world, dir };
        let policy = fs::read_to_string(rig.world.files.dir().join(POLICY_FILE)).unwrap();
        Self {
            policy: Policy::parse(&policy).unwrap(),
            rig,
            clock,
        }
    }

    async fn mirror(&self, dir: &Path, from: Option<&str>) -> Mirror {
        let mut config = self.rig.config(dir, Holds::Entries);
        config.policy = Some(self.policy.clone());
        let opened = self.rig.open(config, CENTRAL_BANK, from).await;
        opened.unwrap()
    }

    /// Copies until nothing new comes: the mirror's own reading is an entry too.
    async fn settle(&self, mirror: &mut Mirror) {
        let whole = || self.rig.size();
        for _ in 0..20 {
            self.rig.world.witnessed().await.unwrap();
            mirror.round(&|_| ()).await.unwrap();
            if held(mirror) == whole() {
                return;
            }
        }
        panic!("the mirror has {}, the ledger {}", held(mirror), whole());
    }

    /// When a quorum cosigned a note.
    fn cosigned_at(&self, note: &str) -> Timestamp {
        let note = SignedNote::parse(note).unwrap();
        let (_, cosigned) = self.policy.open(&note).unwrap();
        let at = self.policy.cosigned_at(&cosigned).unwrap();
        Timestamp::from_second(i64::try_from(at).unwrap()).unwrap()
    }

    /// Lets time pass, and waits until the witnesses have cosigned what is there once more.
    async fn pass(&self, time: SignedDuration) {
        self.clock.step(time);
        let now = self.clock.now().as_second();
        wait_until("fresh cosignatures of the same checkpoint", || async {
            let note = self.rig.world.broker.ledger().cosigned(None).unwrap();
            note.is_some_and(|note| self.cosigned_at(&note).as_second() >= now)
        })
        .await
        .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.rig.dir.path().join(name)
    }
}

#[tokio::test]
async fn an_idle_ledger_is_told_from_an_old_checkpoint_that_is_shown_again() {
    let idle = Idle::at(SystemClock.now()).await;
    idle.rig.grow(300).await;
    let (at, old) = (idle.path("mirror"), idle.path("yesterday"));
    let mut mirror = idle.mirror(&at, None).await;
    idle.settle(&mut mirror).await;
    mirror.check_fresh(idle.clock.now(), BOUND).unwrap();
    copy(&at, &old);
    fs::remove_file(old.join("lock")).unwrap();
    let size = held(&mirror);

    idle.pass(SignedDuration::from_mins(25)).await;
    assert_eq!(idle.rig.size(), size, "the ledger is not idle");
    let now = idle.clock.now();
    // Nothing was shown since: that may be the mirror's own fault, and is no less old.
    let unheard = mirror.check_fresh(now, BOUND).unwrap_err();
    assert!(matches!(unheard, Stale::Old { .. }), "{unheard}");
    mirror.round(&|_| ()).await.unwrap();
    mirror.check_fresh(now, BOUND).unwrap();
    let origin = mirror.held().last().unwrap().checkpoint.origin.clone();
    let kept = fs::read_to_string(at.join(&origin).join("checkpoint")).unwrap();
    assert_eq!(idle.cosigned_at(&kept).as_second(), now.as_second());

    // The same checkpoint, with yesterday's cosignatures: to who has it, and to who begins.
    let tiles = StaticTiles::serve(idle.rig.world.files.dir(), &old).await;
    copy(&old, &idle.path("goes-on"));
    for name in ["goes-on", "begun-anew"] {
        let mut deceived = idle.mirror(&idle.path(name), Some(&tiles.url)).await;
        for _ in 0..2 {
            deceived.round(&|_| ()).await.unwrap();
            assert_eq!(held(&deceived), size);
            let error = deceived.check_fresh(now, BOUND).unwrap_err();
            let Stale::Old { age, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(age.as_mins(), 25, "{error}");
            deceived
                .check_fresh(now, SignedDuration::from_hours(1))
                .unwrap();
        }
    }
    // Who had the fresh ones keeps them, whatever is shown later.
    drop(mirror);
    let mut mirror = idle.mirror(&at, Some(&tiles.url)).await;
    mirror.round(&|_| ()).await.unwrap();
    drop(mirror);
    let keys = idle.rig.world.profile().log_keys().unwrap();
    assert_eq!(verify_mirror(&at, &keys).unwrap().logs[0].entries, size);
}

// The command is waited for where the world runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_may_be_old_and_ends_with_a_code_of_its_own() {
    // The world is twenty minutes behind this machine's clock, as what is shown again would be.
    let behind = SignedDuration::from_mins(20);
    let idle = Idle::at(SystemClock.now() - behind).await;
    idle.rig.world.witnessed().await.unwrap();
    let dir = idle.rig.world.files.dir().to_owned();
    let once = |more: &[&str]| {
        let args = [&["mirror", "copy", "--once"][..], more].concat();
        audit(&dir, &args)
    };
    let policy = ["--policy", POLICY_FILE];
    let (code, told) = complaint(&once(&policy));
    assert_eq!(code, 5, "{told}");
    for part in [
        "may be old: `accord-sandbox/",
        "20 min ago",
        "what is here is verified",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let witness = idle.policy.witnesses()[0].url.clone().unwrap();
    assert!(told.contains(&witness), "{witness}: {told}");
    said(&once(&[&policy[..], &["--stale-after", "1h"]].concat()));
    let (code, told) = complaint(&once(&["--stale-after", "1h"]));
    assert!(
        code == 2 && told.contains("needs --policy"),
        "{code} {told}"
    );
    let (code, _) = complaint(&once(&[&policy[..], &["--stale-after", "1s"]].concat()));
    assert_eq!(code, 2);

    // Who follows is told once, and once more when it is fresh again.
    let args = [&["mirror", "copy"][..], &policy].concat();
    let mut following = Following::of(&dir, &args);
    following.line("may be old").await;
    assert_eq!(following.stop().await, Some(5));
    let args = [&["mirror", "copy", "--json"][..], &policy].concat();
    let mut following = Following::of(&dir, &args);
    following.line("\"stale\":\"").await;
    idle.clock.step(behind);
    following.line("\"stale\":null").await;
    assert_eq!(following.stop().await, Some(0));
}
