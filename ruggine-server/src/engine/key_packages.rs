//! Key packages: what devices leave here so that others can add them to a group.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::key_package::{
    Claim, Claimed, ClaimedPackage, Publish, Stock, StockRequest, SuiteStock,
};
use ruggine_core::{Blob, ErrorCode, Timestamp, limits};
use ruggine_crypto::identity::DeviceCertificate;
use ruggine_crypto::mls::{DefaultCrypto, PublishedKeyPackage, Suite};

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::auth::Principal;
use crate::store::{
    CertifiedDevice, ClaimKeyPackages, NewKeyPackage, NewKeyPackages, StoreKeyPackages,
};

/// Packages that are read at once: each takes a fraction of a millisecond. Where
/// there are more, they are read beside what serves others.
const FEW: usize = 4;
/// For how long a package is handed out. It has no end of its own, so that those
/// who read of it late do not stop at it.
const HELD_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Engine {
    /// The certificate with which a device stands in its user's newest list, and
    /// that list's version.
    async fn certificate_of(
        &self,
        device: Principal,
    ) -> EngineResult<Option<(DeviceCertificate, u64)>> {
        let Some(list) = self.device_list(device.user).await? else {
            return Ok(None);
        };
        let certificate = list.device(device.device).cloned();
        Ok(certificate.map(|certificate| (certificate, list.version())))
    }

    async fn stock_of(&self, owner: CertifiedDevice, at: Timestamp) -> EngineResult<Stock> {
        let held = self.0.store.key_package_stock(owner, at).await?;
        Ok(stock(&held))
    }
}

impl Verb for Publish {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Stock> {
        let principal = caller.principal()?;
        let count = self.packages.len() + usize::from(self.last_resort.is_some());
        if count > limits::KEY_PACKAGES_PER_REQUEST {
            return Err(EngineError::detailed(ErrorCode::LimitReached, "packages"));
        }
        engine.0.rates.packages.check(&principal.user)?;
        let at = engine.0.clock.now();
        let (certificate, list_version) = engine
            .certificate_of(principal)
            .await?
            .ok_or_else(|| invalid("the device is not in its user's newest device list"))?;
        certificate
            .check(principal.user, certificate.account(), at)
            .map_err(|error| invalid(error.to_string()))?;
        let owner = owner_of(&certificate);
        let reader = Reader {
            crypto: Arc::clone(&engine.0.crypto),
            certificate,
            at,
        };
        let packages = if count > FEW {
            tokio::task::spawn_blocking(move || reader.read_all(self))
                .await
                .map_err(EngineError::internal)?
        } else {
            reader.read_all(self)
        }?;
        let new = NewKeyPackages {
            owner: owner.clone(),
            list_version,
            packages,
            most: limits::KEY_PACKAGES_MAX,
            at,
        };
        match engine.0.store.store_key_packages(new).await? {
            StoreKeyPackages::Stored => engine.stock_of(owner, at).await,
            StoreKeyPackages::Known => Err(invalid("a key package was left here before")),
            StoreKeyPackages::Outdated => Err(invalid(
                "another device list came meanwhile: make packages under the newest one",
            )),
            StoreKeyPackages::Full => Err(EngineError::detailed(
                ErrorCode::LimitReached,
                "key packages of one suite",
            )),
        }
    }
}

impl Verb for StockRequest {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Stock> {
        match engine.certificate_of(caller.principal()?).await? {
            Some((certificate, _)) => {
                let at = engine.0.clock.now();
                engine.stock_of(owner_of(&certificate), at).await
            }
            None => Ok(stock(&[])),
        }
    }
}

impl Verb for Claim {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Claimed> {
        let principal = caller.principal()?;
        let suite = Suite::from_number(self.suite)
            .ok_or_else(|| EngineError::detailed(ErrorCode::InvalidParams, "suite"))?;
        engine.0.rates.claims.check(principal.user, self.user)?;
        let Some(list) = engine.device_list(self.user).await? else {
            return match engine.0.store.users(vec![self.user]).await?.is_empty() {
                true => Err(EngineError::rejected(ErrorCode::UserNotFound)),
                false => Ok(Claimed {
                    packages: Vec::new(),
                }),
            };
        };
        let at = engine.0.clock.now();
        let own = (self.user == principal.user).then_some(principal.device);
        let owners = list
            .devices()
            .iter()
            .filter(|listed| Some(listed.device()) != own)
            .filter(|listed| listed.check(self.user, list.account(), at).is_ok())
            .map(owner_of)
            .collect();
        let claim = ClaimKeyPackages {
            owners,
            suite: suite.number(),
            at,
        };
        let claimed = engine.0.store.claim_key_packages(claim).await?;
        let packages = claimed
            .into_iter()
            .map(|claimed| ClaimedPackage {
                device: claimed.device,
                package: claimed.body,
                last_resort: claimed.last_resort,
            })
            .collect();
        Ok(Claimed { packages })
    }
}

/// Reads what a device publishes.
struct Reader {
    crypto: Arc<DefaultCrypto>,
    /// Under which all of it has to be.
    certificate: DeviceCertificate,
    at: Timestamp,
}

impl Reader {
    /// Every package of a request, or what is wrong with the first bad one.
    fn read_all(&self, request: Publish) -> EngineResult<Vec<NewKeyPackage>> {
        let once = request.packages.into_iter().map(|bytes| (bytes, false));
        let last = request.last_resort.into_iter().map(|bytes| (bytes, true));
        once.chain(last)
            .map(|(bytes, last_resort)| self.read(bytes, last_resort))
            .collect()
    }

    fn read(&self, bytes: Blob, last_resort: bool) -> EngineResult<NewKeyPackage> {
        let package = PublishedKeyPackage::read(&*self.crypto, &bytes, self.at)
            .map_err(|error| invalid(error.to_string()))?;
        let of = package.certificate();
        if (of.user(), of.device()) != (self.certificate.user(), self.certificate.device()) {
            return Err(invalid("the key package is of another device"));
        }
        if *of != self.certificate {
            return Err(invalid(
                "the key package is not under the certificate of the newest device list",
            ));
        }
        if package.is_last_resort() != last_resort {
            return Err(invalid(
                "a key package of last resort is marked so, and no other is",
            ));
        }
        Ok(NewKeyPackage {
            suite: package.suite().number(),
            reference: package.reference().to_vec(),
            last_resort,
            expires_at: self.at.after(HELD_FOR).min(of.not_after()),
            body: bytes,
        })
    }
}

fn owner_of(certificate: &DeviceCertificate) -> CertifiedDevice {
    CertifiedDevice {
        user: certificate.user(),
        device: certificate.device(),
        certificate: Blob::from(certificate.to_bytes()),
    }
}

/// What is held, with every suite of ours.
fn stock(held: &[SuiteStock]) -> Stock {
    let suites = Suite::ALL.into_iter().map(|suite| {
        let of_suite = held.iter().find(|some| some.suite == suite.number());
        of_suite.copied().unwrap_or(SuiteStock {
            suite: suite.number(),
            available: 0,
            last_resort: false,
        })
    });
    Stock {
        suites: suites.collect(),
    }
}

fn invalid(reason: impl Into<std::borrow::Cow<'static, str>>) -> EngineError {
    EngineError::detailed(ErrorCode::InvalidKeyPackage, reason)
}
