//! The store under damage, under full disks and under cleaning.

use super::*;
use crate::effects::store::check::{Check, Watch};
use crate::effects::store::collect::{Budget, Collected, GRACE, Manner};
use std::os::unix::fs::{MetadataExt as _, symlink};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(&dir.path().join("store"));
    (dir, store)
}

fn put(store: &Store, dir: &Path, bytes: &[u8]) -> Digest {
    let from = dir.join("made");
    fs::write(&from, bytes).unwrap();
    store.put_file(&from).unwrap().digest
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn check(store: &Store, mend: bool) -> Check {
    store.check(mend, &Watch { progress: &|_, _| {}, stop: &|| false }).unwrap()
}

/// What is wrong, without the digests.
fn wrong(check: &Check) -> Vec<String> {
    let hex = |it: &str| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit());
    let words = |it: &str| {
        let words = it.split(' ').map(|it| if hex(it.trim_matches(',')) { "…" } else { it });
        words.collect::<Vec<_>>().join(" ")
    };
    check.damaged.iter().map(|it| words(&it.what)).collect()
}

/// Says that a file was written or used so long ago.
fn age(path: &Path, time: Duration) {
    let file = File::open(path).unwrap();
    file.set_modified(SystemTime::now() - time).unwrap();
}

const DAY: Duration = Duration::from_hours(24);

fn collect(store: &Store, size: u64, age: Duration) -> Collected {
    store.collect(Budget { size, age }, &Manner { dry_run: false, stop: &|| false }).unwrap()
}

#[test]
fn what_was_put_is_restored() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    let to = dir.path().join("deep/er/out");
    assert_eq!(store.restore(&digest, &to, 0o555).unwrap(), 5);
    assert_eq!(fs::read(&to).unwrap(), b"bytes");
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o555);
    assert!(store.troubles().is_empty());
    let blob = store.path("blobs", &digest);
    assert_eq!(fs::metadata(&blob).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_damaged_record_is_a_miss_and_is_set_aside() {
    let (_dir, store) = store();
    let key = Digest::of(b"key");
    store.put_action(&key, &"made");
    let path = store.path("actions", &key);
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..10], b"", &[0; 100]] {
        replace(&path, damaged);
        assert_eq!(store.action::<String>(&key), None);
        let troubles = store.troubles();
        assert!(troubles.len() == 1 && troubles[0].contains("set aside"), "{troubles:?}");
        assert!(!path.exists(), "it was set aside");
        store.put_action(&key, &"made");
        assert_eq!(store.action::<String>(&key).as_deref(), Some("made"));
    }
}

#[test]
fn a_record_under_another_name_is_a_miss() {
    let (_dir, store) = store();
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    store.put_action(&a, &"of a");
    store.put_action(&b, &"of b");
    let (of_a, of_b) = (store.path("actions", &a), store.path("actions", &b));
    let swapped = of_a.with_extension("swapped");
    rename(&of_a, &swapped).unwrap();
    rename(&of_b, &of_a).unwrap();
    rename(&swapped, &of_b).unwrap();
    assert_eq!(store.action::<String>(&a), None);
    assert_eq!(store.action::<String>(&b), None);
    assert_eq!(store.troubles().len(), 2);
}

#[test]
fn a_record_of_another_program_is_a_miss_without_a_word() {
    let (_dir, store) = store();
    let key = Digest::of(b"key");
    store.put_action(&key, &"a text where a number is expected");
    assert_eq!(store.action::<u64>(&key), None);
    assert!(store.troubles().is_empty());
    assert!(store.path("actions", &key).exists());
}

#[test]
fn a_damaged_blob_is_missing_and_heals_when_put_again() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    let path = store.path("blobs", &digest);
    let to = dir.path().join("out");
    for damaged in [b"bytez".as_slice(), b"", b"byte", b"bytes!"] {
        replace(&path, damaged);
        assert!(matches!(store.restore(&digest, &to, 0o555), Err(RestoreError::Missing(_))));
        assert!(!to.exists());
        assert_eq!(store.troubles().len(), 1);
        fs::write(&path, damaged).unwrap();
        put(&store, dir.path(), b"bytes");
        assert_eq!(store.restore(&digest, &to, 0o555).unwrap(), 5);
        fs::remove_file(&to).unwrap();
    }
}

#[test]
fn what_is_no_regular_file_is_a_miss_and_heals() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    store.put_action(&digest, &"made");
    let to = dir.path().join("out");
    for room in ["blobs", "actions"] {
        let path = store.path(room, &digest);
        let secret = dir.path().join("secret");
        fs::write(&secret, b"bytes").unwrap();
        let make: [&dyn Fn(); 4] = [
            &|| symlink(&secret, &path).unwrap(),
            &|| fs::create_dir(&path).unwrap(),
            &|| {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("in it"), "").unwrap();
            },
            &|| {
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
            },
        ];
        for make in make {
            for heal in [false, true] {
                fs::remove_file(&path).unwrap();
                make();
                if heal {
                    put(&store, dir.path(), b"bytes");
                    store.put_action(&digest, &"made");
                    assert!(store.restore(&digest, &to, 0o555).is_ok());
                    assert!(store.action::<String>(&digest).is_some());
                    assert_eq!(fs::read(&secret).unwrap(), b"bytes");
                    continue;
                }
                assert!(store.restore(&digest, &to, 0o555).is_err() || room == "actions");
                assert!(store.action::<String>(&digest).is_none() || room == "blobs");
                assert!(!path.exists() && !path.is_symlink(), "it was set aside");
                put(&store, dir.path(), b"bytes");
                store.put_action(&digest, &"made");
            }
        }
    }
}

#[test]
fn a_store_that_cannot_be_written_is_a_trouble_and_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("blocked");
    fs::write(&blocked, "a file where the store should be").unwrap();
    let store = Store::new(&blocked);
    let digest = put(&store, dir.path(), b"bytes");
    store.put_action(&digest, &"made");
    assert_eq!(store.action::<String>(&digest), None);
    let troubles = store.troubles();
    assert!(troubles.len() == 1 && troubles[0].ends_with("and 1 more file"), "{troubles:?}");
}

#[test]
fn a_record_is_not_kept_without_its_blobs() {
    let (dir, store) = store();
    put(&store, dir.path(), b"first");
    let (digest, key) = (Digest::of(b"bytes"), Digest::of(b"key"));
    let shelf = store.path("blobs", &digest).parent().unwrap().to_owned();
    fs::write(&shelf, "a file where a folder should be").unwrap();
    assert_eq!(put(&store, dir.path(), b"bytes"), digest);
    store.put_action(&key, &digest);
    assert!(!store.path("actions", &key).exists());
    assert_eq!(store.troubles().len(), 1);
    fs::remove_file(&shelf).unwrap();
    put(&store, dir.path(), b"bytes");
    store.put_action(&key, &digest);
    assert_eq!(store.action::<Digest>(&key), Some(digest));
}

#[test]
fn bytes_never_leave_or_enter_as_hard_links() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    let to = dir.path().join("out");
    store.restore(&digest, &to, 0o755).unwrap();
    for path in [&to, &store.path("blobs", &digest), &dir.path().join("made")] {
        assert_eq!(fs::metadata(path).unwrap().nlink(), 1);
    }
    fs::write(&to, b"BYTES").unwrap();
    assert_eq!(check(&store, false).damaged, []);
}

#[test]
fn a_store_of_another_format_is_neither_read_nor_written() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    store.put_action(&digest, &"made");
    let root = dir.path().join("store");
    let marker = root.join("format");
    assert_eq!(fs::read_to_string(&marker).unwrap(), format!("{FORMAT}\n"));
    let listed = || walkdir::WalkDir::new(&root).into_iter().count();
    let before = listed();
    for other in ["linkwright-store/2\n", "linkwright-store/0", "linkwright-store/10"] {
        fs::write(&marker, other).unwrap();
        let store = Store::new(&root);
        assert!(!store.is_usable());
        assert_eq!(store.action::<String>(&digest), None);
        assert!(store.restore(&digest, &dir.path().join("out"), 0o444).is_err());
        assert_eq!(put(&store, dir.path(), b"other"), Digest::of(b"other"));
        store.put_action(&Digest::of(b"k"), &"made");
        let troubles = store.troubles();
        let named = other.trim_end();
        assert!(troubles.len() == 1 && troubles[0].contains(named), "{troubles:?}");
        assert_eq!(listed(), before);
    }
    for ours in ["", "\n", "linkwright-store/1", "linkwright-store/1\nand more\n"] {
        fs::write(&marker, ours).unwrap();
        let store = Store::new(&root);
        assert_eq!(store.action::<String>(&digest).as_deref(), Some("made"), "{ours:?}");
    }
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    assert!(!Store::new(&root).is_usable(), "what cannot be read may say anything");
}

#[test]
fn a_marker_that_names_no_format_is_damaged_and_written_again() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    store.put_action(&digest, &"made");
    let root = dir.path().join("store");
    let marker = root.join("format");
    for damaged in ["something else", "\u{1b}[2J", "linkwright-store/", "linkwright-store/1x"] {
        fs::write(&marker, damaged).unwrap();
        let store = Store::new(&root);
        assert_eq!(store.troubles().len(), 1, "{damaged:?}");
        assert_eq!(store.action::<String>(&digest).as_deref(), Some("made"), "{damaged:?}");
        put(&store, dir.path(), damaged.as_bytes());
        assert_eq!(fs::read_to_string(&marker).unwrap(), format!("{FORMAT}\n"));
        assert!(Store::new(&root).troubles().is_empty());
    }
}

#[test]
fn a_check_finds_each_kind_of_damage_and_mends_it() {
    let (dir, store) = store();
    let blobs: Vec<_> = (0..8_u8).map(|it| put(&store, dir.path(), &[it; 40])).collect();
    for digest in &blobs {
        store.put_action(digest, &("made", digest));
    }
    assert_eq!(check(&store, false).damaged, []);
    let (blob, record) = (
        |at: usize| store.path("blobs", &blobs[at]),
        |at: usize| store.path("actions", &blobs[at]),
    );
    replace(&blob(0), &[9; 40]);
    fs::remove_file(blob(1)).unwrap();
    replace(&record(2), b"");
    let (third, fourth) = (fs::read(record(3)).unwrap(), fs::read(record(4)).unwrap());
    replace(&record(3), &fourth);
    replace(&record(4), &third);
    fs::remove_file(blob(5)).unwrap();
    fs::create_dir(blob(5)).unwrap();
    fs::write(store.root().join("blobs/notes.txt"), "?").unwrap();
    let sealed = Frame { key: blobs[6], blobs: vec![(blobs[6], 39)], payload: b"\"\"" }.seal();
    replace(&record(6), &sealed);
    let found = check(&store, false);
    let mut told = wrong(&found);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "does not belong among the blobs",
            "does not belong among the blobs",
            "does not hold the bytes that its name says",
            "is damaged",
            "is the record of another key",
            "is the record of another key",
            "names the blob … which is not there",
            "names the blob … which is not there",
            "names the blob … which is not there",
            "names the blob … with 39 bytes; it has 40",
        ]
    );
    assert!(found.damaged.iter().all(|it| it.mended.is_none()));
    assert_eq!(check(&store, true).damaged.len(), 10);
    let mended = check(&store, false);
    assert_eq!(mended.damaged, []);
    assert_eq!((mended.records.files, mended.blobs.files, mended.orphans.files), (1, 5, 4));
}

#[test]
fn a_check_that_is_stopped_says_so_and_mends_nothing() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    replace(&store.path("blobs", &digest), b"bytez");
    let stopped = store.check(true, &Watch { progress: &|_, _| {}, stop: &|| true }).unwrap();
    assert!(stopped.stopped && stopped.damaged.is_empty());
    assert!(store.path("blobs", &digest).exists());
}

/// Ten records of 1000 bytes each, the first used ten days ago, the last today.
fn used_over_ten_days() -> (tempfile::TempDir, Store, Vec<Digest>) {
    let (dir, store) = store();
    let blobs: Vec<_> = (0..10_u8).map(|it| put(&store, dir.path(), &[it; 1000])).collect();
    for (at, digest) in (0..).zip(&blobs) {
        store.put_action(digest, digest);
        age(&store.path("actions", digest), DAY * (10 - at));
    }
    (dir, store, blobs)
}

fn left(store: &Store, blobs: &[Digest]) -> Vec<usize> {
    let there = |it: &usize| store.path("actions", &blobs[*it]).exists();
    let left: Vec<_> = (0..blobs.len()).filter(there).collect();
    let bytes: Vec<_> =
        (0..blobs.len()).filter(|it| store.path("blobs", &blobs[*it]).exists()).collect();
    assert_eq!(left, bytes, "a record and its blob stay or go together");
    assert_eq!(check(store, false).damaged, []);
    left
}

#[test]
fn what_is_too_old_goes_and_a_use_makes_it_new() {
    let (_dir, store, blobs) = used_over_ten_days();
    assert_eq!(store.action::<Digest>(&blobs[2]), Some(blobs[2]), "used today");
    let done = collect(&store, u64::MAX, DAY * 5 + DAY / 2);
    assert_eq!(left(&store, &blobs), [2, 5, 6, 7, 8, 9]);
    assert_eq!((done.records.files, done.blobs.files, done.blobs.bytes), (4, 4, 4000));
    assert_eq!((done.kept.files, done.stopped), (12, false));
    assert_eq!(collect(&store, u64::MAX, DAY * 5 + DAY / 2).records.files, 0);
}

#[test]
fn the_least_recently_used_goes_until_the_rest_fits() {
    let (_dir, store, blobs) = used_over_ten_days();
    let record = fs::metadata(store.path("actions", &blobs[0])).unwrap().len();
    let done = collect(&store, 3 * (1000 + record), DAY * 365);
    assert_eq!(left(&store, &blobs), [7, 8, 9]);
    assert_eq!(done.kept.bytes, 3 * (1000 + record));
    collect(&store, 0, DAY * 365);
    assert_eq!(left(&store, &blobs), Vec::<usize>::new());
}

#[test]
fn a_blob_stays_as_long_as_one_record_names_it() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    store.put_action(&old, &digest);
    store.put_action(&new, &digest);
    age(&store.path("actions", &old), DAY * 9);
    age(&store.path("blobs", &digest), DAY * 9);
    collect(&store, u64::MAX, DAY);
    assert_eq!(store.action::<Digest>(&old), None);
    assert_eq!(store.action::<Digest>(&new), Some(digest));
    assert!(store.restore(&digest, &dir.path().join("out"), 0o444).is_ok());
}

#[test]
fn what_may_be_in_the_making_is_left_alone_for_a_while() {
    let (dir, store) = store();
    let (fresh, stale) = (put(&store, dir.path(), b"fresh"), put(&store, dir.path(), b"stale"));
    age(&store.path("blobs", &stale), GRACE * 2);
    let tmp = store.root().join("tmp");
    for name in ["new-fresh", "new-stale"] {
        fs::write(tmp.join(name), name).unwrap();
    }
    age(&tmp.join("new-stale"), GRACE * 2);
    let memory = store.root().join("stamps");
    let half = store.root().join(".stamps-half");
    for path in [&memory, &half] {
        fs::write(path, "").unwrap();
        age(path, GRACE * 2);
    }
    // A clock that was wrong: written tomorrow.
    let future = put(&store, dir.path(), b"future");
    let file = File::open(store.path("blobs", &future)).unwrap();
    file.set_modified(SystemTime::now() + DAY).unwrap();
    collect(&store, 0, Duration::ZERO);
    assert!(store.path("blobs", &fresh).exists() && store.path("blobs", &future).exists());
    assert!(!store.path("blobs", &stale).exists());
    assert!(tmp.join("new-fresh").exists() && !tmp.join("new-stale").exists());
    assert!(memory.exists() && !half.exists());
}

#[test]
fn what_was_set_aside_goes_with_the_cleaning() {
    let (dir, store) = store();
    let digest = put(&store, dir.path(), b"bytes");
    let path = store.path("blobs", &digest);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), "").unwrap();
    assert!(store.restore(&digest, &dir.path().join("out"), 0o444).is_err());
    assert_eq!(store.survey().unwrap().aside.files, 1);
    assert_eq!(collect(&store, u64::MAX, DAY).left_over.files, 1);
    assert_eq!(store.survey().unwrap().aside.files, 0);
}

#[test]
fn toolchains_are_counted_and_go_by_their_last_use() {
    let (_dir, store) = store();
    for (name, days) in [("new", 1), ("old", 9)] {
        let place = store.root().join("sdk").join(name);
        fs::create_dir_all(place.join("go/bin")).unwrap();
        fs::write(place.join("go/bin/go"), [0; 1000]).unwrap();
        fs::write(place.join("kept"), "x").unwrap();
        age(&place.join("kept"), DAY * days);
    }
    fs::create_dir_all(store.root().join("sdk/new.damaged")).unwrap();
    File::create(store.root().join("sdk/new.lock")).unwrap();
    let toolchains = store.survey().unwrap().toolchains;
    assert_eq!((toolchains.files, toolchains.bytes), (2, 2002));
    let done = collect(&store, u64::MAX, DAY * 5);
    assert_eq!((done.toolchains.files, done.toolchains.bytes, done.kept.bytes), (1, 1001, 1001));
    assert!(store.root().join("sdk/new/go/bin/go").exists());
    assert!(!store.root().join("sdk/old").exists());
    // Too large for what may stay.
    assert_eq!(collect(&store, 1000, DAY * 5).toolchains.files, 1);
    assert_eq!(store.survey().unwrap().toolchains.files, 0);
}

#[test]
fn a_rehearsal_removes_nothing_and_counts_the_same() {
    let (_dir, store, blobs) = used_over_ten_days();
    let budget = Budget { size: 4000, age: DAY * 365 };
    let manner = Manner { dry_run: true, stop: &|| false };
    let rehearsed = store.collect(budget, &manner).unwrap();
    assert_eq!(left(&store, &blobs).len(), 10);
    assert_eq!(collect(&store, budget.size, budget.age), rehearsed);
    assert!(rehearsed.records.files > 0);
}

/// However early it ends, no record names a blob that is gone, and the next one does the rest.
#[test]
fn a_collection_can_end_after_any_file() {
    for most in 0..=21 {
        let (_dir, store, blobs) = used_over_ten_days();
        let swept = AtomicU64::new(0);
        let stop = || swept.fetch_add(1, Ordering::Relaxed) >= most;
        let budget = Budget { size: 0, age: DAY * 365 };
        let done = store.collect(budget, &Manner { dry_run: false, stop: &stop }).unwrap();
        assert_eq!(done.stopped, most < 20, "after {most}");
        assert_eq!(check(&store, false).damaged, [], "after {most}");
        for digest in &blobs {
            let blob = store.path("blobs", digest);
            if blob.exists() {
                age(&blob, GRACE * 2);
            }
        }
        collect(&store, 0, DAY);
        let survey = store.survey().unwrap();
        assert_eq!((survey.records.files, survey.blobs.files), (0, 0), "after {most}");
    }
}

#[test]
fn what_a_narrow_store_holds_is_taken_over_and_lies_where_a_wide_one_looks() {
    let dir = tempfile::tempdir().unwrap();
    let (wide, narrow) = (Store::new(&dir.path().join("wide")), Store::narrow(dir.path()));
    let mut body = narrow.begin_blob().unwrap();
    body.write(b"bytes").unwrap();
    let (copied, place) = narrow.finish_blob(body).unwrap();
    assert_eq!(place.parent(), Some(narrow.root().join("blobs").as_path()));
    let key = Digest::of(b"key");
    narrow.put_action(&key, &copied.digest);
    assert_eq!(narrow.action::<Digest>(&key), Some(copied.digest));
    assert_eq!(wide.action::<Digest>(&key), None);
    wide.take_over(&narrow);
    assert_eq!(wide.action::<Digest>(&key), Some(copied.digest));
    assert_eq!(wide.blob(&copied.digest).map(|it| it.1), Some(5));
    assert_eq!(narrow.blob(&copied.digest), None, "moved, not copied");
}

#[test]
fn a_use_is_written_down_at_most_once_an_hour() {
    let (_dir, store) = store();
    let key = Digest::of(b"key");
    store.put_action(&key, &"made");
    let path = store.path("actions", &key);
    let time = || fs::metadata(&path).unwrap().modified().unwrap();
    for (old, renewed) in [(USE_GRAIN / 2, false), (USE_GRAIN * 2, true)] {
        age(&path, old);
        let before = time();
        assert!(store.action::<String>(&key).is_some());
        assert_eq!(time() != before, renewed);
    }
}
