//! Power cuts: the ledger lies on a file system of its own, on a loop device. In the middle of the
//! load the writer is stopped and the device is copied: what the file system had not yet handed to
//! it is not in the copy. The copy is mounted, which replays its journal, and the ledger opened.
//!
//! A copy during which the kernel went on writing would be of no one moment, so each is made twice
//! until two are the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use accord_proto::clock::{Clock as _, SystemClock};

use super::{
    Progress, SoakError,
    child::Writer,
    kills::merge,
    table::{Name, Table},
    told::{Place, Told},
    writer::Order,
};

const FAULT: &str = "power cut, ext4 image";
const AFTER: &str = "right after an acknowledgement";
const WHENEVER: &str = "at any moment under load";

pub(super) const ROWS: [Name; 2] = [Name::kept(FAULT, AFTER), Name::kept(FAULT, WHENEVER)];

const DISK_MIB: u64 = 48;
/// Images of one file system; then it is made anew, or it would be full.
const IMAGES_OF_ONE: u32 = 20;
/// Most acknowledgements between two images.
const ACKNOWLEDGED_MAX: u32 = 120;
/// Longest pause after them, in microseconds.
const PAUSE_US_MAX: u32 = 3_000;
const STRIDE: u32 = 7_919;
/// A kernel that never rests is no reason to wait forever.
const COPIES_MAX: u32 = 50;

/// A file system in a file, mounted while this lives.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    fn mount(image: &Path, at: &Path) -> Result<Self, SoakError> {
        fs::create_dir_all(at).map_err(SoakError::io("make", at))?;
        system(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(image)
                .arg(at),
        )?;
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, so that nothing is left behind after an error.
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

fn system(command: &mut Command) -> Result<(), SoakError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| SoakError::Program {
        program: program.clone(),
        why,
    };
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.trim().to_owned()))
}

/// Makes an empty file system.
fn make_disk(image: &Path) -> Result<(), SoakError> {
    let file = fs::File::create(image).map_err(SoakError::io("make", image))?;
    file.set_len(DISK_MIB << 20)
        .map_err(SoakError::io("make", image))?;
    system(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))
}

/// Takes that many images.
pub(super) fn run(
    table: &mut Table,
    program: &Path,
    dir: &Path,
    images: u32,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let trial = dir.join("trial.img");
    let possible = make_disk(&trial)
        .and_then(|()| Mounted::mount(&trial, &dir.join("trial")))
        .map(drop);
    if let Err(why) = possible {
        table.skip(FAULT, &format!("needs root and loop devices ({why})"));
        return Ok(());
    }
    let mut taken = 0;
    while taken < images {
        progress(&format!("{FAULT}: {taken} of {images} images"));
        let count = IMAGES_OF_ONE.min(images - taken);
        one_disk(
            table,
            program,
            &dir.join(format!("disk-{taken}")),
            taken,
            count,
        )?;
        taken += count;
    }
    Ok(())
}

fn one_disk(
    table: &mut Table,
    program: &Path,
    dir: &Path,
    first: u32,
    count: u32,
) -> Result<(), SoakError> {
    fs::create_dir_all(dir).map_err(SoakError::io("make", dir))?;
    let (disk, image, copy) = (
        dir.join("disk.img"),
        dir.join("image.img"),
        dir.join("copy.img"),
    );
    make_disk(&disk)?;
    let mounted = Mounted::mount(&disk, &dir.join("disk"))?;
    let place = Place::init(&mounted.at, SystemClock.now())?;
    let order = Order {
        waiters: 8,
        entries: u64::MAX,
        ..place.order()
    };
    let mut told = Told::default();
    let mut writer = Writer::start(program, &order, &[])?;
    for round in first..first + count {
        let more = usize::try_from(1 + round * STRIDE % ACKNOWLEDGED_MAX).unwrap_or(1);
        if !writer.listen(writer.told.len() + more)? {
            let why = format!("the writer ended: {:?}", writer.told.failed);
            let program = "the writer".to_owned();
            return Err(SoakError::Program { program, why });
        }
        let at = if round % 2 == 0 { AFTER } else { WHENEVER };
        if at == WHENEVER {
            thread::sleep(Duration::from_micros(u64::from(
                round * STRIDE % PAUSE_US_MAX,
            )));
        }
        writer.freeze()?;
        writer.drain()?;
        still(&disk, &image, &copy)?;
        let acknowledged = {
            let mut all = told.clone();
            merge(&mut all, writer.told.clone());
            all
        };
        let restored = Mounted::mount(&image, &dir.join("image"))?;
        let outcome = place
            .at(restored.at.join("ledger"))
            .look(&acknowledged, SystemClock.now());
        drop(restored);
        table.count(FAULT, at, "", outcome);
        writer.thaw()?;
    }
    merge(&mut told, writer.kill()?);
    drop(mounted);
    fs::remove_dir_all(dir).map_err(SoakError::io("remove", dir))
}

/// Copies the device until two copies in a row are the same.
fn still(disk: &Path, image: &Path, copy: &Path) -> Result<(), SoakError> {
    let read = |path: &Path| fs::read(path).map_err(SoakError::io("read", path));
    let mut last = read(disk)?;
    for _ in 0..COPIES_MAX {
        let now = read(disk)?;
        if now == last {
            return fs::write(image, &now).map_err(SoakError::io("write", copy));
        }
        last = now;
    }
    let why = "the kernel does not stop writing to it".to_owned();
    let program = disk.display().to_string();
    Err(SoakError::Program { program, why })
}
