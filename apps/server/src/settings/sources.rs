//! Where settings are said: flags, then environment, then a file.

use std::collections::BTreeMap;
use std::path::Path;

use ruggine_core::secret::SecretText;
use ruggine_server::key_source::read_private;

use super::Mistakes;
use crate::arguments::Arguments;

/// Every setting that there is.
const NAMES: [&str; 21] = [
    "DATABASE_URL",
    "REDIS_URL",
    "REDIS_CA_PATH",
    "REDIS_PREFIX",
    "SERVER_HOST",
    "SERVER_PORT",
    "WEBSOCKET_PORT",
    "ADMIN_ADDR",
    "ENABLE_ENCRYPTION",
    "ENCRYPTION_MASTER_KEY",
    "ENCRYPTION_LEGACY_KEYS",
    "TLS_CERT_PATH",
    "TLS_KEY_PATH",
    "ALLOW_PLAINTEXT",
    "LOG_LEVEL",
    "RUGGINE_ALLOWED_ORIGINS",
    "RUGGINE_TRUSTED_PROXIES",
    "RUGGINE_DRAIN_FINISH_SECONDS",
    "RUGGINE_DRAIN_LEAD_SECONDS",
    "RUGGINE_DRAIN_SPREAD_SECONDS",
    "RUGGINE_RATE_LIMITS",
];
/// Those that may stand in a file of their own, named by `…_FILE`.
const SECRETS: [&str; 4] = [
    "DATABASE_URL",
    "REDIS_URL",
    "ENCRYPTION_MASTER_KEY",
    "ENCRYPTION_LEGACY_KEYS",
];
const CONFIG: &str = "RUGGINE_CONFIG";
/// Names of this prefix are ours, so an unknown one is a slip.
const PREFIX: &str = "RUGGINE_";

/// The texts of the settings, by name. Any of them may be a secret.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<&'static str, SecretText>);

impl Sources {
    pub(crate) fn gather(arguments: &Arguments) -> Result<Self, Mistakes> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_parts(arguments, environment)
    }

    pub(super) fn from_parts(
        arguments: &Arguments,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let mut config = arguments.config.clone();
        let mut layers = Layers::default();
        for (name, value) in environment {
            if name == CONFIG {
                config.get_or_insert_with(|| value.into());
            } else if let Some(slot) = Slot::of(&name) {
                layers.environment.insert(slot, SecretText::new(value));
            } else if name.starts_with(PREFIX) {
                mistakes.add(&name, "is no setting of this server: check its spelling");
            }
        }
        if let Some(path) = &config {
            layers.read_file(path, &mut mistakes);
        }
        layers.read_flags(arguments);
        let sources = layers.merge(&mut mistakes);
        mistakes.into_result()?;
        Ok(sources)
    }

    /// A setting's text, if it was said and is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<SecretText> {
        self.0
            .get(name)
            .filter(|text| !text.expose().trim().is_empty())
            .cloned()
    }
}

/// A setting, said directly or as the file that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    name: &'static str,
    in_file: bool,
}

impl Slot {
    fn of(name: &str) -> Option<Self> {
        let direct = NAMES.iter().find(|known| **known == name);
        if let Some(name) = direct {
            return Some(Self {
                name,
                in_file: false,
            });
        }
        let bare = name.strip_suffix("_FILE")?;
        let name = SECRETS.iter().find(|known| **known == bare)?;
        Some(Self {
            name,
            in_file: true,
        })
    }
}

type Layer = BTreeMap<Slot, SecretText>;

#[derive(Debug, Default)]
struct Layers {
    file: Layer,
    environment: Layer,
    flags: Layer,
}

impl Layers {
    fn read_file(&mut self, path: &Path, mistakes: &mut Mistakes) {
        let table: toml::Table = match std::fs::read_to_string(path) {
            Err(error) => {
                mistakes.add(
                    CONFIG,
                    &format!("names {}, which cannot be read: {error}", path.display()),
                );
                return;
            }
            Ok(text) => match toml::from_str(&text) {
                Ok(table) => table,
                Err(error) => {
                    // Where, but not what: the line may hold a secret.
                    let line = error
                        .span()
                        .map_or(0, |span| text[..span.start.min(text.len())].lines().count());
                    mistakes.add(
                        CONFIG,
                        &format!(
                            "names {}, which is no TOML near line {line}",
                            path.display()
                        ),
                    );
                    return;
                }
            },
        };
        for (key, value) in table {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                toml::Value::Array(items) if items.iter().all(toml::Value::is_str) => {
                    let items: Vec<&str> = items.iter().filter_map(toml::Value::as_str).collect();
                    items.join(",")
                }
                _ => {
                    mistakes.add(
                        &key,
                        "in the configuration file must be a text, a number or true/false",
                    );
                    continue;
                }
            };
            match Slot::of(&key.to_ascii_uppercase()) {
                Some(slot) => {
                    self.file.insert(slot, SecretText::new(text));
                }
                None => mistakes.add(
                    &key,
                    "in the configuration file is no setting of this server",
                ),
            }
        }
    }

    fn read_flags(&mut self, arguments: &Arguments) {
        let flags = [
            ("DATABASE_URL", &arguments.database_url),
            ("SERVER_HOST", &arguments.host),
            ("SERVER_PORT", &arguments.port),
            ("WEBSOCKET_PORT", &arguments.websocket_port),
            ("ADMIN_ADDR", &arguments.admin_addr),
            ("TLS_CERT_PATH", &arguments.tls_cert),
            ("TLS_KEY_PATH", &arguments.tls_key),
            ("ENCRYPTION_MASTER_KEY_FILE", &arguments.master_key_file),
            ("ENABLE_ENCRYPTION", &arguments.enable_encryption),
            ("ALLOW_PLAINTEXT", &arguments.allow_plaintext),
            ("LOG_LEVEL", &arguments.log_level),
        ];
        for (name, value) in flags {
            if let (Some(slot), Some(value)) = (Slot::of(name), value) {
                self.flags.insert(slot, SecretText::new(value.clone()));
            }
        }
    }

    /// The first layer that says a setting decides it. Within one layer, saying
    /// it directly and by a file is a mistake.
    fn merge(self, mistakes: &mut Mistakes) -> Sources {
        let mut sources = Sources::default();
        for layer in [self.flags, self.environment, self.file] {
            for name in NAMES {
                if sources.0.contains_key(name) {
                    continue;
                }
                let direct = layer.get(&Slot {
                    name,
                    in_file: false,
                });
                let by_file = layer.get(&Slot {
                    name,
                    in_file: true,
                });
                match (direct, by_file) {
                    (Some(_), Some(_)) => {
                        mistakes.add(name, "and its _FILE are both set: keep one");
                    }
                    (Some(text), None) => {
                        sources.0.insert(name, text.clone());
                    }
                    (None, Some(path)) => match read_private(Path::new(path.expose())) {
                        Ok(text) => {
                            sources.0.insert(name, text);
                        }
                        Err(error) => mistakes.add_sentence(format!("{name}_FILE: {error}")),
                    },
                    (None, None) => {}
                }
            }
        }
        sources
    }
}
