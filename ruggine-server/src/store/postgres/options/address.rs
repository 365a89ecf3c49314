//! A database URL made whole, so that the driver has nothing left to look for.
//!
//! Of what a URL does not say the driver asks the environment (`PGHOST`,
//! `PGPASSWORD`, `PGSSLMODE` and others) and `~/.pgpass`. A library reads neither:
//! here everything is said that the driver can be told, and what it cannot be
//! kept from heeding is refused. This file judges no URL; the driver does.

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::UrlError;

const ROOTS: [&str; 3] = ["sslrootcert", "ssl-root-cert", "ssl-ca"];
/// Two names of a parameter, and the variable that the driver takes instead.
const OWN_CERTIFICATE: [(&str, &str, &str); 2] = [
    ("sslcert", "ssl-cert", "PGSSLCERT"),
    ("sslkey", "ssl-key", "PGSSLKEY"),
];

/// The parts of a URL, as they are written.
pub(super) struct Address<'a> {
    /// Everything before the parameters.
    before: &'a str,
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
    parameters: &'a str,
}

impl<'a> Address<'a> {
    pub(super) fn of(url: &'a str) -> Option<Self> {
        let (url, _) = url.split_once('#').unwrap_or((url, ""));
        let (before, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (_, rest) = before.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        // The colons of an IPv6 address stand within brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        Some(Self {
            before,
            user,
            password,
            host,
            port,
            path: path.trim_start_matches('/'),
            parameters,
        })
    }

    /// The URL with a word on everything that it left open. A parameter counts
    /// more than what stands before it, so those for host, port and login are
    /// only added where nothing stands there; and the last of a name counts, so
    /// the URL's own come last.
    pub(super) fn completed(&self) -> String {
        let mut added = vec!["sslmode=prefer", "application_name="];
        for (part, parameter) in [
            (self.user, "user="),
            (self.password, "password="),
            (self.host, "host=localhost"),
            (self.port, "port=5432"),
            (self.path, "dbname="),
        ] {
            if part.is_empty() {
                added.push(parameter);
            }
        }
        format!("{}?{}&{}", self.before, added.join("&"), self.parameters)
    }

    /// Whether it says which authorities are trusted.
    pub(super) fn names_roots(&self) -> bool {
        self.names(&ROOTS)
    }

    /// Whether the driver would heed a variable of which it cannot be told not to.
    ///
    /// # Errors
    /// The name of the variable.
    pub(super) fn check_environment(&self) -> Result<(), UrlError> {
        // With a host, a port and a user that fit into the URL made below.
        let found = PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .port(5432)
            .username("nobody");
        let options = found.get_options().unwrap_or_default();
        if !options.trim().is_empty() {
            return Err(UrlError::Environment("PGOPTIONS"));
        }
        let found = found.to_url_lossy();
        for (name, other_name, variable) in OWN_CERTIFICATE {
            let is_set = found.query_pairs().any(|(key, _)| key == name);
            if is_set && !self.names(&[name, other_name]) {
                return Err(UrlError::Environment(variable));
            }
        }
        Ok(())
    }

    fn names(&self, names: &[&str]) -> bool {
        self.parameters
            .split('&')
            .filter_map(|parameter| parameter.split('=').next())
            .any(|name| names.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(url: &str) -> String {
        Address::of(url).unwrap().completed()
    }

    #[test]
    fn what_a_url_says_is_left_as_it_is() {
        let always = "sslmode=prefer&application_name=";
        for url in [
            "postgres://ada:p%40ss@db.example:5433/chat",
            "postgres://ada:secret@[::1]:5433/chat",
            "postgres://ada:a:b@%2Frun%2Fpostgresql:5433/chat",
        ] {
            assert_eq!(completed(url), format!("{url}?{always}&"));
            let more = format!("{url}?sslmode=verify-full&sslrootcert=/ca.pem");
            assert_eq!(
                completed(&format!("{more}#fragment")),
                format!("{url}?{always}&sslmode=verify-full&sslrootcert=/ca.pem")
            );
        }
    }

    #[test]
    fn of_what_a_url_leaves_out_nothing_is_left_open() {
        for (url, added) in [
            ("postgres://ada@db.example:5433/chat", "&password="),
            ("postgres://ada:@db.example:5433/chat", "&password="),
            ("postgres://ada:p@db.example/chat", "&port=5432"),
            ("postgres://ada:p@[::1]/chat", "&port=5432"),
            ("postgres://ada:p@db.example:5433", "&dbname="),
            ("postgres://ada:p@db.example:5433/", "&dbname="),
            ("postgres://db.example:5433/chat", "&user=&password="),
            (
                "postgres://",
                "&user=&password=&host=localhost&port=5432&dbname=",
            ),
        ] {
            assert_eq!(
                completed(url),
                format!("{url}?sslmode=prefer&application_name={added}&")
            );
        }
    }

    #[test]
    fn a_parameter_counts_more_than_what_was_added() {
        let url = "postgres:///?host=db.example&port=5433&user=ada&password=p&dbname=chat\
                   &sslmode=verify-ca";
        let connect: PgConnectOptions = completed(url).parse().unwrap();
        assert_eq!(connect.get_host(), "db.example");
        assert_eq!(connect.get_port(), 5433);
        assert_eq!(connect.get_username(), "ada");
        assert_eq!(connect.get_database(), Some("chat"));
        let mode = connect.get_ssl_mode();
        assert!(matches!(mode, sqlx::postgres::PgSslMode::VerifyCa));
    }

    #[test]
    fn authorities_are_named_by_any_of_their_names() {
        for (parameters, names) in [
            ("", false),
            ("?sslmode=verify-full", false),
            ("?host=sslrootcert", false),
            ("?sslmode=verify-full&sslrootcert=/ca.pem", true),
            ("?ssl-ca=/ca.pem", true),
        ] {
            let url = format!("postgres://ada@db.example/chat{parameters}");
            assert_eq!(Address::of(&url).unwrap().names_roots(), names, "{url}");
        }
    }
}
