use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, thread};

use super::{binaries, made_once};

/// Names the folder to a process that is started to take part.
const FOLDER: &str = "COMMERCE_TEST_COLD_CACHE";

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Asks for the cluster from several threads at once.
fn ask(folder: &Path) {
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let made = made_once(&folder.join("bin"), &folder.join("cache"), "cluster").unwrap();
                assert!(made.join("PG_VERSION").is_file());
            });
        }
    });
}

#[test]
fn of_all_who_meet_a_cold_cache_one_makes_the_cluster() {
    if let Some(folder) = env::var_os(FOLDER) {
        return ask(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The server's user comes here too.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (bin, log) = (folder.join("bin"), folder.join("made"));
    fs::create_dir(&bin).unwrap();
    write(&log, "", 0o666);
    let initdb = binaries().unwrap().join("initdb");
    let counting = format!("#!/bin/sh\necho made >>'{}'\nexec '{}' \"$@\"\n", log.display(), initdb.display());
    write(&bin.join("initdb"), &counting, 0o755);

    let test = "testing::tests::of_all_who_meet_a_cold_cache_one_makes_the_cluster";
    let mut others: Vec<_> = (0..2)
        .map(|_| {
            let mut other = Command::new(env::current_exe().unwrap());
            other.args(["--exact", test]).env(FOLDER, folder).spawn().unwrap()
        })
        .collect();
    ask(folder);
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "made\n");

    // One that was killed at work leaves its lock and half a cluster behind.
    fs::rename(folder.join("cache/cluster"), folder.join("cache/cluster.new")).unwrap();
    fs::remove_file(folder.join("cache/cluster.new/PG_VERSION")).unwrap();
    ask(folder);
}
