//! What tests of this crate and of embedders need: ready servers, a client of
//! the bare protocol, a bus that loses notices, and the judge of histories.
