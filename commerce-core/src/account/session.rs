//! Pure rules of sessions: how long they live, and when a refresh token may be rotated.

use super::{Session, User};
use crate::clock::Timestamp;

/// Why a refresh goes one way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefreshDecision {
    /// It is the present token: rotate it.
    Rotate,
    /// Another refresh got there first, while this one was on its way. The session lives.
    Lost,
    /// The token was rotated before this call was made: somebody kept it. The session ends.
    Reused,
    /// The session is over.
    Over,
}

/// A refresh token as it was presented; its signature is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    /// For which generation it was issued.
    pub generation: i64,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// Whether the call may have begun before the last rotation was known to the client.
    pub raced: bool,
}

/// Whether a session still stands for its user.
pub(super) fn is_alive(session: &Session, user: &User, now: Timestamp) -> bool {
    session.user_id == user.id
        && session.ended_at.is_none()
        && session.created_at >= user.sessions_from
        && now < session.expires_at
        && !user.disabled
}

/// What becomes of a refresh.
pub(super) fn decide_refresh(session: &Session, user: &User, presented: Presented, now: Timestamp) -> RefreshDecision {
    if !is_alive(session, user, now) || now >= session.idle_expires_at {
        return RefreshDecision::Over;
    }
    let stored = session.generation;
    if presented.generation == stored && presented.hash == session.refresh_hash {
        RefreshDecision::Rotate
    } else if presented.generation < stored && !presented.raced {
        RefreshDecision::Reused
    } else {
        RefreshDecision::Lost
    }
}

/// When sessions must have begun to outlive what happens to their user now. Later than those that began in this very
/// microsecond; and [`begin`] makes the next one begin no earlier.
pub(super) fn end_all(user: &mut User, now: Timestamp) {
    let after = Timestamp::from_micros(now.as_micros() + 1);
    user.sessions_from = user.sessions_from.max(after);
}

/// When a new session of this user begins: now, but never among those that were ended together.
pub(super) fn begin(user: &User, now: Timestamp) -> Timestamp {
    now.max(user.sessions_from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{
        id::{SessionId, UserId},
        role::Role,
    };

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn user() -> User {
        User {
            id: UserId(Uuid::from_bytes([1; 16])),
            email: "ada@example.com".into(),
            email_confirmed: true,
            password_hash: String::new(),
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            phone: None,
            role: Role::Customer,
            disabled: false,
            sessions_from: NOW - DAY,
            created_at: NOW - DAY,
            updated_at: NOW - DAY,
            version: 1,
        }
    }

    fn session() -> Session {
        Session {
            id: SessionId(Uuid::from_bytes([2; 16])),
            user_id: user().id,
            refresh_hash: [3; 32],
            generation: 3,
            rotated_at: NOW,
            idle_expires_at: NOW + DAY,
            expires_at: NOW + DAY + DAY,
            ended_at: None,
            ip: None,
            user_agent: None,
            created_at: NOW,
            version: 4,
        }
    }

    fn presented(generation: i64, raced: bool) -> Presented {
        Presented { generation, hash: [u8::try_from(generation).unwrap(); 32], raced }
    }

    #[test]
    fn only_the_present_token_rotates() {
        let decide_refresh = |presented| decide_refresh(&session(), &user(), presented, NOW);
        assert_eq!(decide_refresh(presented(3, false)), RefreshDecision::Rotate);
        assert_eq!(decide_refresh(presented(2, true)), RefreshDecision::Lost);
        assert_eq!(decide_refresh(presented(2, false)), RefreshDecision::Reused);
        assert_eq!(decide_refresh(presented(0, false)), RefreshDecision::Reused);
        assert_eq!(decide_refresh(presented(4, false)), RefreshDecision::Lost);
        assert_eq!(decide_refresh(Presented { hash: [9; 32], ..presented(3, false) }), RefreshDecision::Lost);
    }

    #[test]
    fn a_session_that_is_over_says_so_whatever_is_presented() {
        let ended = Session { ended_at: Some(NOW), ..session() };
        let locked = User { disabled: true, ..user() };
        let mut signed_out = user();
        end_all(&mut signed_out, NOW);
        for generation in 0..5 {
            let presented = presented(generation, false);
            assert_eq!(decide_refresh(&ended, &user(), presented, NOW), RefreshDecision::Over);
            assert_eq!(decide_refresh(&session(), &locked, presented, NOW), RefreshDecision::Over);
            assert_eq!(decide_refresh(&session(), &signed_out, presented, NOW), RefreshDecision::Over);
            assert_eq!(decide_refresh(&session(), &user(), presented, NOW + DAY), RefreshDecision::Over);
        }
    }

    #[test]
    fn idling_ends_refreshing_and_age_ends_everything() {
        let fresh = Session { idle_expires_at: NOW + DAY + DAY + DAY, ..session() };
        let before = NOW + DAY + DAY - Duration::from_micros(1);
        assert_eq!(decide_refresh(&fresh, &user(), presented(3, false), before), RefreshDecision::Rotate);
        assert_eq!(decide_refresh(&fresh, &user(), presented(3, false), NOW + DAY + DAY), RefreshDecision::Over);
        assert!(is_alive(&session(), &user(), NOW + DAY), "an access token doesn't care about idling");
        assert!(!is_alive(&session(), &user(), NOW + DAY + DAY));
    }

    #[test]
    fn ending_all_spares_the_next_session_even_in_the_same_microsecond() {
        let mut user = user();
        end_all(&mut user, NOW);
        assert!(!is_alive(&session(), &user, NOW));
        assert!(is_alive(&Session { created_at: begin(&user, NOW), ..session() }, &user, NOW));
        let later = user.sessions_from;
        end_all(&mut user, NOW - DAY);
        assert_eq!(user.sessions_from, later, "a clock that lags revives nothing");
    }

    #[test]
    fn a_session_of_somebody_else_is_dead() {
        let other = User { id: UserId(Uuid::from_bytes([7; 16])), ..user() };
        assert!(!is_alive(&session(), &other, NOW));
    }
}
