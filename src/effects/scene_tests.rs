//! Each row of the table of sights: what keeps it, and what does not.

use super::*;
use crate::effects::sight::Folder;
use crate::effects::testing::later;
use std::fs::{Permissions, create_dir, remove_file, set_permissions};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A folder, and the moment from which on a look at it is a look at something old.
struct Place {
    folder: TempDir,
    digests: Digests,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let digests = Digests::open(&folder.path().join("stamps"), true);
        Self { folder, digests }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
    fn put(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Draws with `draw`, in a run that began when all that is here was old; lets `change` happen;
    /// returns whether all looks the same.
    #[track_caller]
    fn same(&self, draw: impl Fn(&mut Scene, &Digests), change: impl FnOnce()) -> bool {
        // A run has digests of its own.
        let digests = Digests::open(&self.path("stamps"), true);
        let mut scene = Scene::new(later(), &digests, |_| false);
        draw(&mut scene, &digests);
        let sights = scene.clear().unwrap();
        assert!(!sights.is_empty());
        assert!(all_same(&sights), "before any change");
        change();
        all_same(&sights)
    }
}

/// Tells whether a second look sees the same everywhere.
fn all_same(sights: &Sights) -> bool {
    sights.iter().map(|(path, it)| (Path::new(path), it)).all(|(path, sight)| {
        let folder = Folder::open(path.parent().unwrap());
        sight.again(folder.spot(path.file_name().unwrap()), later()).is_some()
    })
}

#[test]
fn a_file_is_the_same_as_long_as_its_bytes_are() {
    let it = Place::new();
    let path = it.put("a", "1");
    let draw = |scene: &mut Scene, digests: &Digests| scene.file(&path, digests);
    assert!(it.same(draw, || drop(it.put("a", "1"))), "written again");
    assert!(!it.same(draw, || drop(it.put("a", "2"))), "edited");
    assert!(!it.same(draw, || remove_file(&path).unwrap()), "gone");
}

#[test]
fn a_folder_is_the_same_as_long_as_its_names_are() {
    let it = Place::new();
    create_dir(it.path("d")).unwrap();
    it.put("d/a", "1");
    let path = it.path("d");
    let draw = |scene: &mut Scene, _: &Digests| scene.folder(&path);
    assert!(it.same(draw, || drop(it.put("d/a", "2"))), "what a file holds is no name");
    let come_and_gone = || {
        let new = it.put("d/b", "");
        remove_file(new).unwrap();
    };
    assert!(it.same(draw, come_and_gone));
    assert!(!it.same(draw, || drop(it.put("d/b", ""))), "a new name");
    let another_kind = || {
        remove_file(it.path("d/b")).unwrap();
        create_dir(it.path("d/b")).unwrap();
    };
    assert!(!it.same(draw, another_kind));
}

#[test]
fn a_folder_behind_a_link_is_another_one_when_the_link_is_turned() {
    let it = Place::new();
    for name in ["one", "two"] {
        create_dir(it.path(name)).unwrap();
    }
    symlink(it.path("one"), it.path("link")).unwrap();
    let path = it.path("link");
    let turn = || {
        remove_file(&path).unwrap();
        symlink(it.path("two"), &path).unwrap();
    };
    assert!(!it.same(|scene, _| scene.folder(&path), turn));
}

#[test]
fn what_a_link_in_a_folder_leads_to_may_not_come_or_go() {
    let it = Place::new();
    create_dir(it.path("d")).unwrap();
    symlink(it.path("goal"), it.path("d/link")).unwrap();
    let path = it.path("d");
    assert!(!it.same(|scene, _| scene.folder(&path), || drop(it.put("goal", ""))));
}

#[test]
fn what_a_link_beside_it_leads_to_is_told_by_the_folder_alone() {
    let it = Place::new();
    create_dir(it.path("d")).unwrap();
    create_dir(it.path("d/folder")).unwrap();
    it.put("d/file", "");
    for (link, goal) in [("link", "second"), ("second", "file"), ("broken", "not"), ("out", "../d")]
    {
        symlink(goal, it.path(&format!("d/{link}"))).unwrap();
    }
    let path = it.path("d");
    let mut scene = Scene::empty(later());
    scene.folder(&path);
    let drawn: Vec<_> = scene.clear().unwrap().into_keys().collect();
    assert_eq!(drawn, [path.clone(), path.join("out")]);
    let turned = |goal: &'static str| {
        let link = it.path("d/second");
        move || {
            remove_file(&link).unwrap();
            symlink(goal, &link).unwrap();
        }
    };
    assert!(it.same(|scene, _| scene.folder(&path), turned("./file")), "still a file");
    assert!(!it.same(|scene, _| scene.folder(&path), turned("folder")));
    let appears = || drop(it.put("d/not", ""));
    assert!(!it.same(|scene, _| scene.folder(&path), appears));
}

/// A folder `d` with a file, and with links to what lies beside it.
fn linked() -> Place {
    let it = Place::new();
    create_dir(it.path("d")).unwrap();
    create_dir(it.path("other")).unwrap();
    it.put("d/file", "1");
    it.put("goal", "1");
    let links = [("out", "../goal"), ("first", "second"), ("second", "../goal")];
    for (link, goal) in links.into_iter().chain([("lost", "../not"), ("more", "../other")]) {
        symlink(goal, it.path(&format!("d/{link}"))).unwrap();
    }
    it
}

/// Draws [`linked`] after an earlier run, perhaps one that saw more of it.
fn draw_linked(it: &Place, before: Sights, sees_more: bool) -> Sights {
    let mut scene = Scene::empty(later()).after(before);
    if sees_more {
        scene.folder(&it.path("d/more"));
        if it.path("d/out").is_file() {
            scene.file(&it.path("d/out"), &Digests::open(&it.path("stamps"), true));
        }
    }
    scene.folder(&it.path("d"));
    scene.clear().unwrap()
}

/// What becomes of [`linked`], and how.
type Change = (&'static str, fn(&Place));

#[test]
fn a_folder_that_was_drawn_before_is_drawn_as_by_one_who_never_saw_it() {
    fn turned(it: &Place, link: &str, goal: &str) {
        remove_file(it.path(link)).unwrap();
        symlink(goal, it.path(link)).unwrap();
    }
    let changes: [Change; 10] = [
        ("nothing", |_| {}),
        ("a file is edited", |it| drop(it.put("d/file", "2"))),
        ("a name is new", |it| drop(it.put("d/new", ""))),
        ("a link leads to nothing", |it| remove_file(it.path("goal")).unwrap()),
        ("one to nothing leads to a file", |it| drop(it.put("not", ""))),
        ("a link is turned round", |it| turned(it, "d/out", "../other")),
        ("a neighbour is turned round", |it| turned(it, "d/second", "../other")),
        ("the folder behind a link has more", |it| drop(it.put("other/new", ""))),
        ("a file behind a link is edited", |it| drop(it.put("goal", "2"))),
        ("a file takes the place of a link", |it| {
            remove_file(it.path("d/out")).unwrap();
            it.put("d/out", "1");
        }),
    ];
    for (what, change) in changes {
        for (saw_more, sees_more) in [(false, false), (true, true), (true, false), (false, true)] {
            let it = linked();
            let before = draw_linked(&it, Sights::new(), saw_more);
            change(&it);
            let drawn = draw_linked(&it, before, sees_more);
            assert_eq!(drawn, draw_linked(&it, Sights::new(), sees_more), "{what}");
        }
    }
}

#[test]
fn a_folder_that_is_as_it_was_drawn_is_not_read_again() {
    let it = linked();
    let mut before = draw_linked(&it, Sights::new(), false);
    let path = it.path("d").into_os_string();
    let Some(Sight::Folder(stamp, _)) = before.get(&path).copied() else { unreachable!() };
    let marked = Sight::Folder(stamp, [7; 32]);
    before.insert(path.clone(), marked);
    assert_eq!(draw_linked(&it, before.clone(), false)[&path], marked);
    // What was seen behind a link does not say that it is one.
    let mut saw_more = draw_linked(&it, Sights::new(), true);
    saw_more.insert(path.clone(), marked);
    assert_ne!(draw_linked(&it, saw_more, false)[&path], marked);
}

#[test]
fn what_was_absent_may_not_appear() {
    let it = Place::new();
    let path = it.path("a");
    assert!(!it.same(|scene, _| scene.nothing(&path), || drop(it.put("a", ""))));
    let broken = it.path("b");
    let change = || symlink(it.path("nowhere"), &broken).unwrap();
    assert!(!it.same(|scene, _| scene.nothing(&broken), change), "a link to nothing is something");
}

#[test]
fn an_output_is_held_to_its_bytes_and_to_being_a_program() {
    let it = Place::new();
    let path = it.put("out", "1");
    set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let draw = |scene: &mut Scene, digests: &Digests| {
        scene.outputs(vec![(path.clone(), Digest::of(b"1"))], digests);
    };
    assert!(it.same(draw, || drop(it.put("out", "1"))));
    let may_not_start = || set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(!it.same(draw, may_not_start));
    assert!(!it.same(draw, || drop(it.put("out", "2"))));
    it.put("out", "1");
    assert!(!it.same(draw, || remove_file(&path).unwrap()));
}

#[test]
fn a_program_is_the_first_of_its_name_on_the_search_path() {
    let it = Place::new();
    for name in ["early", "late"] {
        create_dir(it.path(name)).unwrap();
    }
    let program = it.put("late/tool", "");
    set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let folders = [it.path("early"), it.path("late")];
    let draw = |scene: &mut Scene, _: &Digests| scene.search(&folders, "tool");
    assert!(!it.same(draw, || drop(it.put("early/tool", ""))));
    remove_file(it.path("early/tool")).unwrap();
    assert!(!it.same(draw, || drop(it.put("late/tool", "more"))));
}

#[test]
fn a_scene_with_something_younger_than_its_run_is_not_clear() {
    let it = Place::new();
    let path = it.put("a", "1");
    let mut scene = Scene::new(SystemTime::UNIX_EPOCH, &it.digests, |_| false);
    scene.file(&path, &it.digests);
    assert_eq!(scene.clear().unwrap_err(), path);
}

#[test]
fn a_scene_with_something_that_is_not_as_it_should_be_is_not_clear() {
    let it = Place::new();
    let path = it.put("out", "1");
    let mut scene = Scene::new(later(), &it.digests, |_| false);
    scene.outputs(vec![(path.clone(), Digest::of(b"2"))], &it.digests);
    assert_eq!(scene.clear().unwrap_err(), path);
    let mut scene = Scene::new(later(), &it.digests, |_| false);
    scene.nothing(&path);
    assert_eq!(scene.clear().unwrap_err(), path);
}

#[test]
fn a_file_that_appears_in_a_folder_behind_a_link_is_seen_where_links_are_followed() {
    for (links, seen) in [(Links::Followed, true), (Links::Left, false)] {
        let place = Place::new();
        create_dir(place.path("tree")).unwrap();
        create_dir(place.path("shared")).unwrap();
        symlink("../shared", place.path("tree/link")).unwrap();
        let root = place.path("tree");
        let draw = |scene: &mut Scene, digests: &Digests| {
            scene.tree((&root, links), digests, |_| true, |_| false);
        };
        let same = place.same(draw, || drop(place.put("shared/new", "")));
        assert_eq!(same, !seen, "{links:?}");
    }
}
