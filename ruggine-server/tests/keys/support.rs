//! People with account keys, and devices with certificates.

use std::time::Duration;

use ruggine_core::api::{identity, key_package};
use ruggine_core::time::SystemClock;
use ruggine_core::{ApiError, Blob, Clock, DeviceId, ErrorCode, Timestamp, UserId};
use ruggine_crypto::identity::{AccountKey, CertificateFields, DeviceCertificate, DeviceList};
use ruggine_crypto::mls::{
    DefaultCrypto, Device, DeviceKey, MemoryTable, NewKeyPackage, Provider, Suite,
};
use ruggine_server::testing::{HttpClient, Person, TestServer};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Key packages are made by the clock of the machine, whatever the server's says.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A person's account key.
pub(crate) struct Account {
    pub(crate) user: UserId,
    key: AccountKey,
}

/// A person's device with its keys.
pub(crate) struct Phone {
    device: Device,
    table: MemoryTable,
    crypto: DefaultCrypto,
}

impl Account {
    /// A fresh key of this person.
    pub(crate) fn of(person: &Person) -> Self {
        Self {
            user: person.user(),
            key: AccountKey::generate().unwrap(),
        }
    }

    /// A device with a fresh key, certified for a year.
    pub(crate) fn phone(&self, device: DeviceId) -> Phone {
        let key = DeviceKey::generate().unwrap();
        self.certify(key, device, 365)
    }

    fn certify(&self, key: DeviceKey, device: DeviceId, days: u32) -> Phone {
        let mut suites = Suite::ALL.map(Suite::number).to_vec();
        suites.sort_unstable();
        let fields = CertificateFields {
            user: self.user,
            device,
            signature_key: key.public(),
            suites,
            not_before: Timestamp::from_millis(0),
            not_after: now().after(DAY * days),
        };
        let certificate = DeviceCertificate::issue(&self.key, fields).unwrap();
        Phone {
            device: Device::new(key, certificate).unwrap(),
            table: MemoryTable::default(),
            crypto: DefaultCrypto::default(),
        }
    }

    pub(crate) fn first(&self, phones: &[&Phone]) -> DeviceList {
        DeviceList::first(&self.key, self.user, certificates(phones), now()).unwrap()
    }

    pub(crate) fn next(&self, list: &DeviceList, phones: &[&Phone]) -> DeviceList {
        list.next(&self.key, certificates(phones), now()).unwrap()
    }
}

fn certificates(phones: &[&Phone]) -> Vec<DeviceCertificate> {
    let each = phones.iter();
    each.map(|phone| phone.device.certificate().clone())
        .collect()
}

impl Phone {
    /// The same device twice: under another certificate, for so many days.
    pub(crate) fn twins(account: &Account, device: DeviceId, days: [u32; 2]) -> [Self; 2] {
        let seed = DeviceKey::generate().unwrap().seed();
        days.map(|days| account.certify(DeviceKey::from_seed(&seed), device, days))
    }

    pub(crate) fn package(&self, suite: Suite) -> Blob {
        self.make(suite, false)
    }

    pub(crate) fn packages(&self, suite: Suite, count: usize) -> Vec<Blob> {
        (0..count).map(|_| self.package(suite)).collect()
    }

    pub(crate) fn last_resort(&self, suite: Suite) -> Blob {
        self.make(suite, true)
    }

    fn make(&self, suite: Suite, is_last_resort: bool) -> Blob {
        let provider = Provider::new(&self.crypto, &self.table);
        let made = NewKeyPackage::make(&provider, &self.device, suite, is_last_resort);
        Blob::from(made.unwrap().bytes)
    }
}

/// Somebody with one device, which stands in the first version of their list.
pub(crate) struct Listed {
    pub(crate) person: Person,
    pub(crate) account: Account,
    pub(crate) phone: Phone,
    pub(crate) list: DeviceList,
    pub(crate) http: HttpClient,
}

impl Listed {
    pub(crate) async fn new(server: &TestServer, username: &str) -> Self {
        let person = server.register(username).await;
        let account = Account::of(&person);
        let phone = account.phone(person.device());
        let list = account.first(&[&phone]);
        let http = server.http_of(&person);
        assert_eq!(publish(&http, &list).await, Ok(1));
        Self {
            person,
            account,
            phone,
            list,
            http,
        }
    }

    /// Publishes the next version of the list.
    pub(crate) async fn relist(&mut self, phones: &[&Phone]) {
        self.list = self.account.next(&self.list, phones);
        let published = publish(&self.http, &self.list).await;
        assert_eq!(published, Ok(self.list.version()));
    }

    /// Leaves packages of the device; how many there are then.
    pub(crate) async fn leave(&self, packages: Vec<Blob>) -> key_package::Stock {
        leave(&self.http, packages, None).await.unwrap()
    }
}

/// A client of somebody whose earlier login has ended, on the device that they had.
pub(crate) async fn log_in_again(server: &TestServer, person: &Person) -> HttpClient {
    let login = server.http().call(person.same_device_login()).await;
    server.http().with_token(&login.unwrap().tokens.access)
}

pub(crate) async fn publish(http: &HttpClient, list: &DeviceList) -> Result<u64, ErrorCode> {
    publish_bytes(http, list.to_bytes()).await
}

pub(crate) async fn publish_bytes(http: &HttpClient, bytes: Vec<u8>) -> Result<u64, ErrorCode> {
    let list = Blob::from(bytes);
    let published = http.call(identity::Publish { list }).await;
    published
        .map(|published| published.version)
        .map_err(|error| error.code)
}

/// What of a user's lists is newer than a version, and whether there is more.
pub(crate) async fn lists(http: &HttpClient, user: UserId, after: u64) -> (Vec<Blob>, bool) {
    let users = vec![identity::Known { user, after }];
    let mut answer = http.call(identity::Get { users }).await.unwrap().users;
    assert_eq!(answer.len(), 1);
    let lists = answer.remove(0);
    assert_eq!(lists.user, user);
    (lists.lists, lists.more)
}

pub(crate) fn bytes_of<'a>(lists: impl IntoIterator<Item = &'a DeviceList>) -> Vec<Blob> {
    let bytes = lists.into_iter().map(|list| Blob::from(list.to_bytes()));
    bytes.collect()
}

pub(crate) async fn leave(
    http: &HttpClient,
    packages: Vec<Blob>,
    last_resort: Option<Blob>,
) -> Result<key_package::Stock, ApiError> {
    let request = key_package::Publish {
        packages,
        last_resort,
    };
    http.call(request).await
}

/// Asserts that packages are refused for this reason.
pub(crate) async fn assert_refused(
    http: &HttpClient,
    packages: Vec<Blob>,
    last_resort: Option<Blob>,
    reason: &str,
) {
    let error = leave(http, packages, last_resort).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidKeyPackage, "{error}");
    let details = error.details.unwrap();
    assert!(details.contains(reason), "{details}");
}

/// How many packages of a suite the calling device has, and whether one of last resort.
pub(crate) async fn stock(http: &HttpClient, suite: Suite) -> (u32, bool) {
    let stock = http.call(key_package::StockRequest {}).await.unwrap();
    of_suite(&stock, suite)
}

pub(crate) fn of_suite(stock: &key_package::Stock, suite: Suite) -> (u32, bool) {
    let suites: Vec<u16> = stock.suites.iter().map(|held| held.suite).collect();
    assert_eq!(suites, Suite::ALL.map(Suite::number));
    let mut held = stock.suites.iter();
    let held = held.find(|held| held.suite == suite.number());
    held.map(|held| (held.available, held.last_resort)).unwrap()
}

pub(crate) async fn claim(
    http: &HttpClient,
    user: UserId,
    suite: Suite,
) -> Vec<key_package::ClaimedPackage> {
    let claim = key_package::Claim {
        user,
        suite: suite.number(),
    };
    http.call(claim).await.unwrap().packages
}
