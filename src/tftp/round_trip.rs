//! The adaptive resend time-out (RFC 6298 with TFTP's own limits).
//!
//! The fixed second of most servers makes a lockstep transfer under 1 % loss ten times slower than this, and a
//! fixed short one collapses when many clients share a queue: everything is then sent twice.

use std::time::Duration;

/// Time-out before the first sample, when the client asked for none.
pub const FIRST: Duration = Duration::from_millis(500);
/// Never shorter: firmware polls its card, and a virtual machine may be off its processor that long.
pub const SHORTEST: Duration = Duration::from_millis(30);
/// Never longer.
pub const LONGEST: Duration = Duration::from_secs(4);

/// Round-trip estimate of one transfer.
#[derive(Clone, Debug)]
pub struct RoundTrip {
    smoothed: Option<Duration>,
    deviation: Duration,
    timeout: Duration,
}

impl RoundTrip {
    /// Starts without a sample; `asked` is the client's `timeout` option (RFC 2349).
    pub fn new(asked: Option<Duration>) -> Self {
        let timeout = asked.unwrap_or(FIRST).min(LONGEST);
        Self { smoothed: None, deviation: Duration::ZERO, timeout }
    }

    /// Takes a measured round trip; only from what was sent once (Karn).
    pub fn sample(&mut self, measured: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(measured);
                self.deviation = measured / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(measured)) / 4;
                self.smoothed = Some((smoothed * 7 + measured) / 8);
            }
        }
        self.forget_doubling();
    }

    /// Nothing came back in time: twice as long next time.
    pub fn double(&mut self) {
        self.timeout = (self.timeout * 2).min(LONGEST);
    }

    /// It is known that packets were lost, not late: the doubling served no purpose.
    pub fn forget_doubling(&mut self) {
        if let Some(smoothed) = self.smoothed {
            self.timeout = (smoothed + self.deviation * 4).clamp(SHORTEST, LONGEST);
        }
    }

    /// How long to wait before sending again.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The smoothed round trip, once there is a sample.
    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_out_follows_the_path_within_its_limits() {
        let mut path = RoundTrip::new(None);
        assert_eq!(path.timeout(), FIRST);
        path.double();
        assert_eq!(path.timeout(), FIRST * 2);
        path.sample(Duration::from_micros(200));
        assert_eq!(path.timeout(), SHORTEST);
        for _ in 0..40 {
            path.sample(Duration::from_millis(100));
        }
        assert!((100..=140).contains(&path.timeout().as_millis()), "{:?}", path.timeout());
        for _ in 0..10 {
            path.double();
        }
        assert_eq!(path.timeout(), LONGEST);
        path.forget_doubling();
        assert!(path.timeout() < Duration::from_millis(140));
    }

    #[test]
    fn the_clients_own_time_out_holds_until_the_first_sample() {
        assert_eq!(RoundTrip::new(Some(Duration::from_secs(2))).timeout(), Duration::from_secs(2));
        assert_eq!(RoundTrip::new(Some(Duration::from_secs(255))).timeout(), LONGEST);
    }
}
