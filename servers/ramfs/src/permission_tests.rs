//! Who may do what, where permissions are not the usual ones or a file changes its owner.

extern crate std;
use std::vec;

use abi::{Error, UserId};
use protocols::io::mode;
use protocols::names::names;
use protocols::permissions::Permissions;

use crate::quota::Holding;
use crate::tests::{Files, QUOTA, USER};

#[test]
fn permissions_let_others_in_and_keep_even_the_owner_out() {
    let mut files = Files::new(QUOTA);
    files.make_directory("d").unwrap();
    for name in ["f", "d/f"] {
        files.make(name, b"mine");
        assert_eq!(files.permissions(0, name), Permissions::USUAL);
    }
    let owner = files.client;
    let other = files.system.process(UserId(101));
    let boot = files.server.service.boot_context();

    files.client = other;
    assert_eq!(files.set_permissions(0, "f", 0o66), Err(Error::NoPermission));
    files.client = owner;
    assert_eq!(files.set_permissions(0, "f", 0o71), Err(Error::BadArgument));
    assert_eq!(files.set_permissions(0, "", 0o60), Err(Error::NotSupported));
    assert_eq!(files.set_permissions(boot, "", 0o66), Err(Error::NotSupported));
    files.client = files.system.process(UserId::SYSTEM);
    assert_eq!(files.set_permissions(0, "", 0o60), Err(Error::NotSupported));
    assert_eq!(files.permissions(0, ""), Permissions::EVERYTHING);

    // Nobody but the owner.
    files.client = owner;
    let open = files.open("f", mode::READ).unwrap();
    files.set_permissions(0, "f", 0o60).unwrap();
    assert_eq!(files.content("f").unwrap(), b"mine");
    files.client = other;
    for mode in [mode::READ, mode::READ | mode::TRUNCATE, mode::WRITE] {
        assert_eq!(files.open("f", mode), Err(Error::NoPermission));
    }
    assert!(files.describe(0, "f").is_ok(), "what it is can be known by everyone");

    // Others write what they can't read, and their time of change; the name stays the owner's.
    files.client = owner;
    files.set_permissions(0, "f", 0o62).unwrap();
    files.client = other;
    assert_eq!(files.open("f", mode::READ | mode::TRUNCATE), Err(Error::NoPermission));
    let theirs = files.open("f", mode::WRITE).unwrap();
    files.write(theirs, 0, b"Y").unwrap();
    assert_eq!(files.read(theirs, 0, 4), Err(Error::NotReadable));
    let set = names::SetModified { context: 0, modified_ns: 7 };
    files.system.say(&mut files.server, other, &set, b"f").unwrap();
    assert_eq!(files.remove("f"), Err(Error::NoPermission));
    files.client = owner;
    assert_eq!(files.read(open, 0, 9).unwrap(), b"Yine", "nothing was emptied, and what is open stays so");

    // Not even the owner, who may still set them and remove the file. The system passes.
    files.set_permissions(0, "f", 0).unwrap();
    assert_eq!(files.content("f"), Err(Error::NoPermission));
    assert_eq!(files.open("f", mode::WRITE), Err(Error::NoPermission));
    files.client = files.system.process(UserId::SYSTEM);
    assert_eq!(files.content("f").unwrap(), b"Yine");
    files.client = owner;
    files.remove("f").unwrap();

    // Directories: listed, and given names.
    files.set_permissions(0, "d", 0o60).unwrap();
    files.client = other;
    assert_eq!(files.list("d"), Err(Error::NoPermission));
    assert_eq!(files.content("d/f").unwrap(), b"mine", "one goes through by name");
    assert_eq!(files.make_directory("d/e"), Err(Error::NoPermission));
    files.client = owner;
    files.set_permissions(0, "d", 0o06).unwrap();
    assert_eq!(files.make_directory("d/e"), Err(Error::NoPermission));
    files.client = other;
    files.make_directory("d/e").unwrap();
    assert_eq!(files.list("d").unwrap().len(), 2);
    files.remove("d/f").unwrap();
}

#[test]
fn who_is_given_a_file_has_what_it_takes() {
    let mut files = Files::new(QUOTA);
    files.make("f", &vec![1; 50_000]);
    let before = files.usage();
    assert_eq!(files.set_owner("f", UserId(101)), Err(Error::NoPermission));
    let owner = core::mem::replace(&mut files.client, files.system.process(UserId::SYSTEM));
    assert_eq!(files.set_owner("", UserId(101)), Err(Error::NotSupported));
    files.set_owner("f", USER).unwrap();
    assert_eq!(files.usage(), before);
    files.set_owner("f", UserId(101)).unwrap();
    assert_eq!(files.usage(), Holding::default());
    files.client = owner;
    assert_eq!(files.open("f", mode::WRITE), Err(Error::NoPermission));
    // One who has too much already is given nothing.
    files.make("g", &vec![1; 60_000]);
    files.client = files.system.process(UserId::SYSTEM);
    assert_eq!(files.set_owner("f", USER), Err(Error::NoSpace));
    files.remove("g").unwrap();
    files.set_owner("f", USER).unwrap();
    assert_eq!(files.usage(), before);
    files.remove("f").unwrap();
    assert_eq!(files.server.service.tree().usage.total(), Holding::default());
}
