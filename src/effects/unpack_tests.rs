//! Archives, good and bad, made byte by byte.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Seek as _;
use zip::write::SimpleFileOptions;

const ROOM: Room = Room { files: 6, bytes: 1000 };

/// Makes a zip file of names, modes and bytes.
fn zip_of(entries: &[(&str, u32, &[u8])]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    let mut writer = zip::ZipWriter::new(&mut file);
    for (name, mode, bytes) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .unix_permissions(*mode & 0o777);
        if *mode & 0o170_000 == 0o120_000 {
            writer.add_symlink(*name, String::from_utf8_lossy(bytes), options).unwrap();
            continue;
        }
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
    file.rewind().unwrap();
    file
}

fn tar_of(entries: &[(&str, tar::EntryType, &[u8])]) -> File {
    let file = tempfile::tempfile().unwrap();
    let mut builder = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // As it is written: `set_path` would refuse what is tried here.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if name.contains("bin") { 0o755 } else { 0o644 });
        header.set_size(if kind.is_file() { bytes.len() as u64 } else { 0 });
        if kind.is_symlink() {
            header.set_link_name_literal(bytes).unwrap();
        }
        header.set_cksum();
        builder.append(&header, if kind.is_file() { *bytes } else { &[] }).unwrap();
    }
    let mut file = builder.into_inner().unwrap().finish().unwrap();
    file.rewind().unwrap();
    file
}

/// Unpacks into a folder beside which a file stands that nobody may touch.
fn unpacked(
    unpack: impl Fn(&Path) -> Result<String, UnpackError>,
) -> (tempfile::TempDir, Result<String, String>) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("to");
    fs::create_dir(&folder).unwrap();
    let came = unpack(&folder).map_err(|it| it.to_string());
    let names: Vec<_> =
        fs::read_dir(outer.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["to"], "something was written outside");
    (outer, came)
}

#[test]
fn a_module_is_unpacked_with_the_sum_that_go_gives_it() {
    let entries: [(&str, u32, &[u8]); 4] = [
        ("m@v1/bin/go", 0, b"#!/bin/sh\n"),
        ("m@v1/VERSION", 0o644, b"go1.99.0\n"),
        ("m@v1/pkg/tool/x/link", 0, b""),
        ("m@v1/src/_go.mod", 0, b"module std\n"),
    ];
    let unpack = |to: &Path| unpack_module(zip_of(&entries), "m@v1/", to, ROOM);
    let (outer, sum) = unpacked(unpack);
    // By `sha256sum` of the files, sorted by name, and of what it printed, in base64.
    assert_eq!(sum.unwrap(), "h1:BXKGOsMyRnGhWR4czBkd4hwa/HxZb+zRDOHsHcx962A=");
    let to = outer.path().join("to");
    assert_eq!(fs::read_to_string(to.join("src/go.mod")).unwrap(), "module std\n");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o111
    };
    assert!(mode("bin/go") != 0 && mode("pkg/tool/x/link") != 0 && mode("VERSION") == 0);
}

#[test]
fn a_zip_file_that_reaches_out_or_is_too_large_is_refused() {
    let check = |entries: &[(&str, u32, &[u8])], words: &str| {
        let unpack = |to: &Path| unpack_module(zip_of(entries), "m/", to, ROOM);
        let error = unpacked(unpack).1.unwrap_err();
        assert!(error.contains(words), "{entries:?}: {error}");
    };
    check(&[("m/../x", 0, b"")], "outside");
    check(&[("m/a/../../x", 0, b"")], "outside");
    check(&[("m//x", 0, b"")], "outside");
    check(&[("m/a\\..\\x", 0, b"")], "backslash");
    check(&[("/etc/x", 0, b"")], "not of the module");
    check(&[("mm/x", 0, b"")], "not of the module");
    check(&[("m/link", 0o120_777, b"/etc")], "no regular file");
    check(&[("m/a", 0, b"1"), ("m/a/b", 0, b"2")], "twice");
    check(&[("m/a", 0, &[b'x'; 600]), ("m/b", 0, &[b'x'; 600])], "1000 bytes");
    let many: Vec<_> = (0..7).map(|it| format!("m/{it}")).collect();
    let many: Vec<(&str, u32, &[u8])> = many.iter().map(|it| (it.as_str(), 0, &b""[..])).collect();
    check(&many, "6 files");
}

#[test]
fn what_is_no_whole_archive_is_damaged() {
    let mut whole = Vec::new();
    zip_of(&[("m/x", 0, &[7; 900])]).read_to_end(&mut whole).unwrap();
    let damaged = |bytes: &[u8]| {
        let unpack = |to: &Path| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            unpack_module(file, "m/", to, ROOM)
        };
        unpacked(unpack).1.is_err()
    };
    assert!(damaged(b"") && damaged(b"no archive") && damaged(&whole[..whole.len() / 2]));
    let mut archive = Vec::new();
    tar_of(&[("go/x", tar::EntryType::Regular, &[7; 900])]).read_to_end(&mut archive).unwrap();
    let cut = |to: &Path| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&archive[..archive.len() / 2]).unwrap();
        file.rewind().unwrap();
        unpack_archive(file, to, ROOM).map(|()| String::new())
    };
    assert!(unpacked(cut).1.is_err());
}

#[test]
fn an_archive_of_go_dev_is_unpacked_and_a_bad_one_refused() {
    use tar::EntryType::{Directory, Regular, Symlink};
    let good = [
        ("go/", Directory, &b""[..]),
        ("go/VERSION", Regular, b"go1.99.0\n"),
        ("go/bin/go", Regular, b"x"),
    ];
    let (outer, came) =
        unpacked(|to| unpack_archive(tar_of(&good), to, ROOM).map(|()| String::new()));
    came.unwrap();
    assert_eq!(fs::read_to_string(outer.path().join("to/VERSION")).unwrap(), "go1.99.0\n");
    let check = |entries: &[(&str, tar::EntryType, &[u8])], words: &str| {
        let unpack = |to: &Path| unpack_archive(tar_of(entries), to, ROOM).map(|()| String::new());
        let error = unpacked(unpack).1.unwrap_err();
        assert!(error.contains(words), "{entries:?}: {error}");
    };
    check(&[("go/../x", Regular, b"")], "outside");
    check(&[("/go/x", Regular, b"")], "not below");
    check(&[("go/d/../../../x/", Directory, b"")], "outside");
    check(&[("go/link", Symlink, b"/etc")], "no regular file");
    check(&[("go/a", Regular, b"1"), ("go/a", Regular, b"2")], "twice");
    check(&[("go/a", Regular, &[1; 1001])], "1000 bytes");
}
