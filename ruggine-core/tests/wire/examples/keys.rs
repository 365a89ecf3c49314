//! Device lists and key packages.

use ruggine_core::Blob;
use ruggine_core::api::{identity, key_package};

use super::Examples;
use crate::values::{device, user};

fn bytes(first: u8) -> Blob {
    Blob::from(vec![first, 0x00, 0xfb, 0xff])
}

impl Examples for identity::Publish {
    fn examples() -> Vec<(&'static str, Self)> {
        let list = bytes(1);
        vec![("always", Self { list })]
    }
}

impl Examples for identity::Published {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self { version: 300 })]
    }
}

impl Examples for identity::Get {
    fn examples() -> Vec<(&'static str, Self)> {
        let known = |number, after| identity::Known {
            user: user(number),
            after,
        };
        let users = vec![known(1, 3), known(2, 0)];
        vec![("of one who is known and one who is not", Self { users })]
    }
}

impl Examples for identity::Lists {
    fn examples() -> Vec<(&'static str, Self)> {
        let some = identity::UserLists {
            user: user(1),
            lists: vec![bytes(4), bytes(5)],
            more: true,
        };
        let none = identity::UserLists {
            user: user(2),
            lists: Vec::new(),
            more: false,
        };
        let users = vec![some, none];
        vec![("of two users", Self { users })]
    }
}

impl Examples for key_package::Publish {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            packages: vec![bytes(1), bytes(2)],
            last_resort: None,
        };
        let most = Self {
            last_resort: Some(bytes(3)),
            ..least.clone()
        };
        vec![("with the least", least), ("with everything", most)]
    }
}

impl Examples for key_package::StockRequest {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for key_package::Stock {
    fn examples() -> Vec<(&'static str, Self)> {
        let suites = vec![
            key_package::SuiteStock {
                suite: 0x004e,
                available: 50,
                last_resort: true,
            },
            key_package::SuiteStock {
                suite: 0x0001,
                available: 0,
                last_resort: false,
            },
        ];
        vec![("of two suites", Self { suites })]
    }
}

impl Examples for key_package::Claim {
    fn examples() -> Vec<(&'static str, Self)> {
        let claim = Self {
            user: user(2),
            suite: 0x004e,
        };
        vec![("always", claim)]
    }
}

impl Examples for key_package::Claimed {
    fn examples() -> Vec<(&'static str, Self)> {
        let once = key_package::ClaimedPackage {
            device: device(1),
            package: bytes(1),
            last_resort: false,
        };
        let last = key_package::ClaimedPackage {
            device: device(2),
            package: bytes(3),
            last_resort: true,
        };
        let packages = vec![once, last];
        vec![
            ("of two devices", Self { packages }),
            (
                "of none",
                Self {
                    packages: Vec::new(),
                },
            ),
        ]
    }
}
