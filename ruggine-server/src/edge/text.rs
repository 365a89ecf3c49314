//! What errors say to people, in Italian and English.

use ruggine_core::ErrorCode;

/// The language of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Locale {
    #[default]
    English,
    Italian,
}

impl Locale {
    /// The language that a tag or an `Accept-Language` list asks for first.
    pub(crate) fn from_tags(tags: &str) -> Self {
        let known = tags.split(',').find_map(|tag| {
            let language = tag.trim().get(..2)?.to_ascii_lowercase();
            match language.as_str() {
                "it" => Some(Self::Italian),
                "en" => Some(Self::English),
                _ => None,
            }
        });
        known.unwrap_or_default()
    }
}

/// What happened and what to do about it.
pub(crate) const fn sentence(code: ErrorCode, locale: Locale) -> &'static str {
    let (english, italian) = texts(code);
    match locale {
        Locale::English => english,
        Locale::Italian => italian,
    }
}

const fn texts(code: ErrorCode) -> (&'static str, &'static str) {
    use ErrorCode as C;
    match code {
        C::BadFrame => (
            "The request could not be read.",
            "La richiesta non è leggibile.",
        ),
        C::FrameTooLarge => ("The request is too long.", "La richiesta è troppo lunga."),
        C::UnknownMethod => (
            "This server does not know that operation.",
            "Questo server non conosce l'operazione.",
        ),
        C::InvalidParams => (
            "The request does not have the form of the operation.",
            "La richiesta non ha la forma dell'operazione.",
        ),
        C::UnsupportedProtocol => (
            "This server speaks another version of the protocol: update the client.",
            "Questo server parla un'altra versione del protocollo: aggiorna il client.",
        ),
        C::HelloRequired => ("Say hello first.", "Prima serve il saluto hello."),
        C::Unauthenticated => (
            "You are not logged in, or the login has ended: log in again.",
            "Accesso mancante o scaduto: accedi di nuovo.",
        ),
        C::InvalidCredentials => (
            "Username and password do not match.",
            "Nome utente e password non corrispondono.",
        ),
        C::UsernameTaken => (
            "That username is taken: choose another.",
            "ERR: Username già in uso",
        ),
        C::InvalidUsername => (
            "A username has 3 to 32 characters: letters a to z, digits, dot, underscore and hyphen.",
            "Un nome utente ha da 3 a 32 caratteri: lettere da a a z, cifre, punto, trattino basso e trattino.",
        ),
        C::InvalidDisplayName => (
            "A name has 1 to 64 characters and no control characters.",
            "Un nome ha da 1 a 64 caratteri, senza caratteri di controllo.",
        ),
        C::WeakPassword => (
            "Choose a password of 12 to 128 characters that is not easily guessed, for example four unrelated words.",
            "Scegli una password da 12 a 128 caratteri non facile da indovinare, per esempio quattro parole senza legame.",
        ),
        C::TokenReused => (
            "This login was used from two places and has been ended: log in again.",
            "Questo accesso è stato usato da due parti ed è stato chiuso: accedi di nuovo.",
        ),
        C::DeviceRestored => (
            "This device's data are an old copy: log in as a new device.",
            "I dati di questo dispositivo sono una vecchia copia: accedi come nuovo dispositivo.",
        ),
        C::Forbidden => ("You may not do this.", "Non puoi farlo."),
        C::UserNotFound => ("No such user.", "Utente inesistente."),
        C::ConversationNotFound => (
            "No such conversation, or you are not in it.",
            "Conversazione inesistente, o non ne fai parte.",
        ),
        C::SessionNotFound => ("No such login.", "Accesso inesistente."),
        C::MessageNotFound => ("No such message.", "Messaggio inesistente."),
        C::WrongMode => (
            "This is not possible in this kind of conversation.",
            "Non è possibile in questo tipo di conversazione.",
        ),
        C::LastOwner => (
            "A group needs an owner: make somebody else owner first.",
            "Un gruppo ha bisogno di un proprietario: prima nominane un altro.",
        ),
        C::NotAMember => ("That user is not a member.", "L'utente non è un membro."),
        C::LimitReached => ("A limit is reached.", "È stato raggiunto un limite."),
        C::ConversationExists => (
            "That conversation id is in use.",
            "L'identificativo della conversazione è già in uso.",
        ),
        C::PayloadTooLarge => ("The message is too long.", "Il messaggio è troppo lungo."),
        C::InvalidContent => (
            "The message has no valid content.",
            "Il messaggio non ha un contenuto valido.",
        ),
        C::IdempotencyConflict => (
            "A different message was sent under the same id.",
            "Con lo stesso identificativo è stato inviato un messaggio diverso.",
        ),
        C::StaleEpoch => (
            "The group's keys have changed meanwhile: seal the message anew.",
            "Le chiavi del gruppo sono cambiate: il messaggio va cifrato di nuovo.",
        ),
        C::Undecryptable => (
            "The stored message cannot be opened.",
            "Il messaggio conservato non si può aprire.",
        ),
        C::IdentityConflict => (
            "Another device has changed the device list meanwhile: read it, and change it anew.",
            "Un altro dispositivo ha cambiato intanto l'elenco dei dispositivi: leggilo e cambialo di nuovo.",
        ),
        C::InvalidIdentity => (
            "The device list is not valid.",
            "L'elenco dei dispositivi non è valido.",
        ),
        C::InvalidKeyPackage => (
            "The key package is not valid.",
            "Il pacchetto di chiavi non è valido.",
        ),
        C::RateLimited => (
            "Too many requests: wait a moment.",
            "Troppe richieste: attendi un momento.",
        ),
        C::Overloaded => (
            "The server is busy and took nothing: try again in a moment.",
            "Il server è occupato e non ha preso nulla: riprova tra un momento.",
        ),
        C::TooManyConnections => (
            "Too many connections: close some.",
            "Troppe connessioni: chiudine qualcuna.",
        ),
        C::Refused => ("The service refused this.", "Il servizio non lo consente."),
        C::Unavailable => (
            "The server cannot serve right now: try again in a moment.",
            "Il server non è disponibile ora: riprova tra un momento.",
        ),
        _ => (
            "Something went wrong on the server.",
            "Qualcosa è andato storto sul server.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_sentence_of_its_own_in_both_languages() {
        for locale in [Locale::English, Locale::Italian] {
            let mut seen = std::collections::HashSet::new();
            for code in ErrorCode::ALL {
                assert!(seen.insert(sentence(*code, locale)), "{code}");
            }
        }
    }

    #[test]
    fn the_words_for_a_taken_username_are_the_specified_ones() {
        assert_eq!(
            sentence(ErrorCode::UsernameTaken, Locale::Italian),
            "ERR: Username già in uso"
        );
    }

    #[test]
    fn the_first_known_language_wins() {
        assert_eq!(Locale::from_tags("de, it-IT;q=0.8, en"), Locale::Italian);
        assert_eq!(Locale::from_tags("en-GB,it"), Locale::English);
        assert_eq!(Locale::from_tags("è"), Locale::English);
        assert_eq!(Locale::from_tags(""), Locale::English);
    }
}
