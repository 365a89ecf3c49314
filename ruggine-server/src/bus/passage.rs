//! What becomes of a notice once a bus has taken it.

use tokio::sync::oneshot::{self, error::TryRecvError};

/// What becomes of a notice that a bus took: it goes out, or it is lost on the
/// way. Whether anybody heard it is known to nobody.
///
/// Whoever keeps what the notice was about until it has gone out loses nothing
/// by a bus that loses it.
#[derive(Debug)]
pub struct Passage(State);

#[derive(Debug)]
enum State {
    Known(bool),
    UnderWay(oneshot::Receiver<()>),
}

/// The bus's end of a [`Passage`]. Dropping it says that the notice was lost.
#[derive(Debug)]
pub struct Departure(oneshot::Sender<()>);

impl Passage {
    /// Of a notice that has gone out already.
    #[must_use]
    pub const fn over() -> Self {
        Self(State::Known(true))
    }

    /// Of a notice that will not go out.
    #[must_use]
    pub const fn lost() -> Self {
        Self(State::Known(false))
    }

    /// Of a notice that is on its way.
    #[must_use]
    pub fn under_way() -> (Departure, Self) {
        let (departure, arrival) = oneshot::channel();
        (Departure(departure), Self(State::UnderWay(arrival)))
    }

    /// Whether the notice went out; `None` while that is not known.
    pub fn outcome(&mut self) -> Option<bool> {
        if let State::UnderWay(departure) = &mut self.0 {
            let went_out = match departure.try_recv() {
                Ok(()) => true,
                Err(TryRecvError::Closed) => false,
                Err(TryRecvError::Empty) => return None,
            };
            self.0 = State::Known(went_out);
        }
        match self.0 {
            State::Known(went_out) => Some(went_out),
            State::UnderWay(_) => None,
        }
    }

    /// Waits until it is known whether the notice went out.
    pub async fn went_out(self) -> bool {
        match self.0 {
            State::Known(went_out) => went_out,
            State::UnderWay(departure) => departure.await.is_ok(),
        }
    }
}

impl Departure {
    /// Says that the notice went out.
    pub fn went_out(self) {
        // Nobody has to wait for it.
        let _ = self.0.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notice_is_under_way_until_it_is_said_to_have_gone_out() {
        let (departure, mut passage) = Passage::under_way();
        assert_eq!(passage.outcome(), None);
        departure.went_out();
        assert_eq!(passage.outcome(), Some(true));
        assert_eq!(passage.outcome(), Some(true), "it stays known");
        assert!(passage.went_out().await);
    }

    #[tokio::test]
    async fn a_notice_of_which_nothing_more_is_said_is_lost() {
        let (departure, mut passage) = Passage::under_way();
        drop(departure);
        assert_eq!(passage.outcome(), Some(false));
        let (departure, passage) = Passage::under_way();
        drop(departure);
        assert!(!passage.went_out().await);
    }
}
