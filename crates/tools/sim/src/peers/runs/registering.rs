//! Registration: over each transport, with each kind of digest, and not with a wrong password.

use rcseal_report::Report;

use super::super::line::{Line, LineError, Over};
use super::super::{Digest, Kamailio, Setup, User};
use super::{RunError, expect};

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    for (name, digest) in [("md5", Digest::Md5), ("sha256", Digest::Sha256), ("md5_without_qop", Digest::Md5Legacy)] {
        let user = User::nth(1);
        let carrier = Kamailio::start(&Setup { digest, ..Setup::of(vec![user.clone()]) }).await?;
        for over in Over::ALL {
            let seen = seen(Line::open(&carrier, &user, over).await);
            expect(report, &format!("register_{name}_{}", over.name()), seen, "registered");
        }
        let wrong = User { password: "wrong".to_owned(), ..user };
        let seen = seen(Line::open(&carrier, &wrong, Over::Udp).await);
        expect(report, &format!("register_{name}_wrong_password"), seen, "carrier_unauthorized");
    }
    Ok(())
}

fn seen(outcome: Result<Line, LineError>) -> &'static str {
    match outcome {
        Ok(_) => "registered",
        Err(error) => error.code(),
    }
}
